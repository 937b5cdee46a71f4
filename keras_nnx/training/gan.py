"""Adversarial training through `compile` and `fit`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras.src.saving.serialization_lib import SafeModeScope

from keras_nnx import _checks
from keras_nnx.losses import GANLoss, NonSaturatingGANLoss
from keras_nnx.training import _gan_checks, _gan_data, _gan_steps, _latents
from keras_nnx.training.critics import CriticRegularizer

_OWNER = "GAN"


@keras.saving.register_keras_serializable(package="keras_nnx")
class GAN(keras.Model):
    """Trains a generator against a discriminator; a `keras.Model` for `compile`, `fit` and `.keras` files.

    One step is one compiled function: `critic_steps` steps of the discriminator in a loop, each on its own part of the
    batch, one of the generator, the regularisers, and the moving average of the generator.

    Args:
        generator: A model from latents `(b, latent_dim)` to images, or from `[latents, labels]` if there are classes.
        discriminator: A model from images, or `[images, labels]`, to logits: one for each image, `(b, 1)`, or one for
            each patch. No sigmoid: the losses contain it.
        latent_dim: Size of the latents. Default: what the generator takes.
        num_classes: Number of labels, integers from 0, for conditional generation. Default: none.
        augmentation: A layer that changes images at random in training, and lets gradients through, such as
            `nnx.layers.DifferentiableAugmentation`. The discriminator sees all images through it.
        ema_decay: How slowly the averaged generator follows, in [0, 1); None keeps no average.
        seed: Seed of the latents in training.
        name: The name of the model.
        **kwargs: What else `keras.Model` takes.

    Attributes:
        averaged_generator: The moving average of the generator, or the generator itself where none is kept. What
            `generate` uses, and what to export.

    Input shape:
        Called as a layer: latents `(b, latent_dim)`, or `[latents, labels]`.

    Output shape:
        Images `(b, h, w, c)`: of the averaged generator at inference.

    Raises:
        ValueError: If the networks do not fit each other or what they are called with, naming the sizes; or if Keras's
            backend is not TensorFlow.

    Example:
        >>> import keras
        >>> import numpy as np
        >>> import keras_nnx as nnx
        >>> generator = keras.Sequential([keras.Input((4,)), keras.layers.Dense(9), keras.layers.Reshape((3, 3, 1))])
        >>> discriminator = keras.Sequential([keras.Input((3, 3, 1)), keras.layers.Flatten(), keras.layers.Dense(1)])
        >>> gan = nnx.training.GAN(generator, discriminator, seed=1)
        >>> gan.compile(loss=nnx.losses.HingeGANLoss(), regularizers=[nnx.training.R1(interval=4)], critic_steps=2)
        >>> history = gan.fit(np.zeros((8, 3, 3, 1), "float32"), batch_size=4, verbose=0)
        >>> gan.generate(5, seed=2).shape
        (5, 3, 3, 1)

    Source:
        Goodfellow et al., "Generative Adversarial Nets" (2014); the averaged generator, Yazici et al., "The Unusual
        Effectiveness of Averaging in GAN Training" (2019).
    """

    def __init__(
        self,
        generator: keras.Model,
        discriminator: keras.Model,
        latent_dim: int | None = None,
        num_classes: int | None = None,
        augmentation: keras.layers.Layer | None = None,
        ema_decay: float | None = 0.999,
        seed: int | None = None,
        name: str = "gan",
        **kwargs: Any,
    ) -> None:
        if keras.backend.backend() != "tensorflow":
            raise ValueError(
                f"{_OWNER} needs the TensorFlow backend, not {keras.backend.backend()}: set KERAS_BACKEND=tensorflow."
            )
        super().__init__(name=name, **kwargs)
        self.generator = _gan_checks.network("generator", generator)
        self.discriminator = _gan_checks.network("discriminator", discriminator)
        _checks.optional_positive_integer(_OWNER, "latent_dim", latent_dim)
        self.latent_dim = _gan_checks.latent_dim(generator, latent_dim)
        self.num_classes = _checks.optional_positive_integer(_OWNER, "num_classes", num_classes)
        self.augmentation = augmentation
        self.ema_decay = None if ema_decay is None else _checks.probability(_OWNER, "ema_decay", ema_decay)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.image_shape = _gan_checks.image_shape(generator, discriminator, self.latent_dim, self.num_classes)
        _gan_checks.scores_are_logits(discriminator, self.image_shape, self.num_classes)
        if augmentation is not None:
            _gan_checks.augmentation_fits(augmentation, self.image_shape)
        self.averaged_generator = generator if ema_decay is None else _copied(self)
        self.expected = _gan_data.Expected(tuple(self.image_shape), self.num_classes, self._is_bounded())
        self._means: dict[str, keras.metrics.Mean] = {}
        self._compiled_generator: Any = None
        self.built = True

    def compile(
        self,
        generator_optimizer: Any = None,
        discriminator_optimizer: Any = None,
        loss: GANLoss | None = None,
        regularizers: CriticRegularizer | Sequence[CriticRegularizer] = (),
        critic_steps: int = 1,
        jit_compile: bool | str = "auto",
        **kwargs: Any,
    ) -> None:
        """Choose how to train.

        Args:
            generator_optimizer: Default: Adam with a learning rate of 2e-4 and `beta_1=0.5`.
            discriminator_optimizer: Default: as that of the generator. A network that computes in float16 has the loss
                scaled for it.
            loss: What both want; default: `nnx.losses.NonSaturatingGANLoss()`.
            regularizers: What is added to the loss of the discriminator: `R1`, `R2`, `GradientPenalty`.
            critic_steps: Steps of the discriminator for each of the generator. A batch is cut into as many parts, so
                let it be larger by as much.
            jit_compile: Whether XLA compiles the step. `"auto"`: where there is a GPU, and one replica. On a processor,
                compiling slopes of slopes (`R1` and the like) of convolutions takes minutes.
            **kwargs: `steps_per_execution` and `run_eagerly`, as in `keras.Model.compile`.

        Raises:
            ValueError: If an argument is none of these.
        """
        if loss is not None and not isinstance(loss, GANLoss):
            raise ValueError(
                f"{_OWNER}.compile(loss={loss!r}) needs one of this package's losses between two networks, such as "
                "nnx.losses.NonSaturatingGANLoss(), or a subclass of nnx.losses.GANLoss."
            )
        self.critic_steps = _checks.positive_integer(f"{_OWNER}.compile", "critic_steps", critic_steps)
        self.regularizers = _gan_checks.regularizers(regularizers)
        self.loss_between = loss or NonSaturatingGANLoss()
        if generator_optimizer is not None and generator_optimizer is discriminator_optimizer:
            raise ValueError(f"{_OWNER}.compile received one optimizer for both networks: make one for each.")
        self._jit_compile_given = jit_compile
        if jit_compile == "auto":
            one = self.distribute_strategy.num_replicas_in_sync == 1 and not kwargs.get("run_eagerly")
            jit_compile = one and bool(tf.config.list_logical_devices("GPU"))
        with self.distribute_strategy.scope():
            super().compile(
                optimizer=_gan_steps.optimizer_of(self.generator, generator_optimizer),
                jit_compile=jit_compile,
                **kwargs,
            )
            self.discriminator_optimizer = _gan_steps.optimizer_of(self.discriminator, discriminator_optimizer)
            self.optimizer.build(self.generator.trainable_variables)
            self.discriminator_optimizer.build(self.discriminator.trainable_variables)
            names = [*_gan_steps.MEASURED, "generator_loss", *(entry.name for entry in self.regularizers)]
            self._means = {name: keras.metrics.Mean(name=name) for name in names}

    @property
    def generator_optimizer(self) -> Any:
        """The optimizer of the generator, which is also `optimizer`: what Keras's callbacks change."""
        return self.optimizer

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The means of what a step measures."""
        return list(self._means.values())

    def fit(self, x: Any = None, y: Any = None, **kwargs: Any) -> keras.callbacks.History:
        """Train, as `keras.Model.fit`.

        Args:
            x: Images, `(n, h, w, c)`, in the range of what the generator makes; or a data set of batches.
            y: Their labels, `(n,)`, if the GAN is conditional.
            **kwargs: What else `keras.Model.fit` takes. `validation_data` gives both losses on held-out images: a
                discriminator that scores them far under those it was trained on knows its images by heart.

        Returns:
            The history.

        Raises:
            ValueError: If labels are missing or unknown, or images are not in the generator's range or of its shape:
                before the first step, or before the batch of a `tf.data.Dataset` that has them.
        """
        if not self.compiled:
            raise ValueError(f"{_OWNER}.fit: call compile() first; its defaults will do.")
        x = self.expected.checked(x, y)
        if kwargs.get("validation_data") is not None:
            kwargs["validation_data"] = self.expected.checked_validation(kwargs["validation_data"])
        with _gan_data.said_in_words():
            history = super().fit(x, y, **kwargs)
        # Keras does so for the one optimizer that it knows: an average of its own takes the place of the weights.
        self.discriminator_optimizer.finalize_variable_values(self.discriminator.trainable_variables)
        return history

    def train_step(self, data: Any) -> dict[str, Any]:
        """Train on one batch."""
        images, labels = self._batch(data)
        return self._logged(_gan_steps.train(self, images, labels), tf.shape(images)[0])

    def test_step(self, data: Any) -> dict[str, Any]:
        """Measure both losses on one batch."""
        images, labels = self._batch(data)
        return self._logged(_gan_steps.evaluate(self, images, labels), tf.shape(images)[0])

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Return images for latents, or for `[latents, labels]`."""
        return (self.generator if training else self.averaged_generator)(inputs, training=training)

    def seen(self, images: Any) -> Any:
        """Return images as the discriminator sees them in training."""
        return images if self.augmentation is None else self.augmentation(images, training=True)

    def generate(
        self,
        n: int,
        seed: int | None = None,
        labels: Any = None,
        truncation: float | None = None,
        batch_size: int = 256,
    ) -> np.ndarray:
        """Return images of the averaged generator.

        Args:
            n: How many.
            seed: The same seed draws the same latents, on every machine. Default: others each time.
            labels: For a conditional GAN: one label for all, or one for each.
            truncation: Latents are drawn again until none is over this in absolute value: less variety, and fewer
                images that fail. Default: all are kept.
            batch_size: How many are computed at a time.

        Returns:
            Images, `(n, h, w, c)`.

        Raises:
            ValueError: If labels are missing, or not as many as asked for, or an argument is out of its range.
        """
        owner = f"{_OWNER}.generate"
        _checks.positive_integer(owner, "n", n)
        _checks.positive_integer(owner, "batch_size", batch_size)
        if seed is not None:
            _checks.at_least_zero(owner, "seed", seed)
        if truncation is not None:
            _checks.at_least(owner, "truncation", truncation, 0.01)
        latents = _latents.given(seed, n, self.latent_dim, truncation)
        given = _gan_data.labels_to_generate(n, labels, self.num_classes)
        if self._compiled_generator is None:
            self._compiled_generator = _latents.compiled(self.averaged_generator, self.latent_dim, given is not None)
        inputs = [latents] if given is None else [latents, given]
        parts = [
            self._compiled_generator(*(tf.constant(entry[start : start + batch_size]) for entry in inputs)).numpy()
            for start in range(0, n, batch_size)
        ]
        return np.concatenate(parts)

    def get_config(self) -> dict[str, Any]:
        """Return what was passed."""
        return {
            "generator": keras.saving.serialize_keras_object(self.generator),
            "discriminator": keras.saving.serialize_keras_object(self.discriminator),
            "latent_dim": self.latent_dim,
            "num_classes": self.num_classes,
            "augmentation": keras.saving.serialize_keras_object(self.augmentation),
            "ema_decay": self.ema_decay,
            "seed": self.seed,
            "name": self.name,
            "dtype": keras.saving.serialize_keras_object(self.dtype_policy),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> GAN:
        """Make the GAN anew, its weights aside."""
        parts = {name: config[name] for name in ("generator", "discriminator", "augmentation", "dtype")}
        made = {
            name: keras.saving.deserialize_keras_object(part, custom_objects=custom_objects)
            for name, part in parts.items()
        }
        return cls(**{**config, **made})

    def get_compile_config(self) -> dict[str, Any]:
        """Return what `compile` was given."""
        if not self.compiled:
            return {}
        serialize = keras.saving.serialize_keras_object
        return {
            "generator_optimizer": serialize(self.optimizer),
            "discriminator_optimizer": serialize(self.discriminator_optimizer),
            "loss": serialize(self.loss_between),
            "regularizers": [serialize(entry) for entry in self.regularizers],
            "critic_steps": self.critic_steps,
            "jit_compile": self._jit_compile_given,
            "run_eagerly": self.run_eagerly,
            "steps_per_execution": self.steps_per_execution,
        }

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile as a saved GAN was."""
        self.compile(**keras.saving.deserialize_keras_object(config))

    def _batch(self, data: Any) -> tuple[tf.Tensor, tf.Tensor | None]:
        images, labels, weights = keras.utils.unpack_x_y_sample_weight(data)
        if weights is not None:
            raise ValueError(f"{_OWNER} knows no sample weights: leave them out.")
        self.expected.check_batch(images, labels)
        return tf.cast(images, tf.float32), None if labels is None else tf.reshape(tf.cast(labels, tf.int32), [-1])

    def _logged(self, logs: dict[str, tf.Tensor], count: tf.Tensor) -> dict[str, Any]:
        for name, value in logs.items():
            self._means[name].update_state(value, sample_weight=count)
        return {name: self._means[name].result() for name in logs}

    def _is_bounded(self) -> bool:
        labels = None if self.num_classes is None else tf.TensorSpec((None,), tf.int32)
        latents = tf.TensorSpec((None, self.latent_dim), tf.float32)
        return _gan_checks.ending(self.generator, latents, labels) == "tanh"


def _copied(gan: GAN) -> keras.Model:
    """Return another generator with the same weights, which no optimizer trains."""
    known = {type(layer).__name__: type(layer) for layer in gan.generator._flatten_layers()}
    try:
        # Nothing is loaded here, but made from what is running already: no class is unknown, and no function unsafe.
        with keras.saving.custom_object_scope(known), SafeModeScope(False):
            copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(gan.generator))
    except Exception as error:
        raise ValueError(
            f"{_OWNER} cannot copy its generator for the moving average: {error} Give its layers a get_config, or pass "
            "ema_decay=None."
        ) from error
    _gan_checks.image_shape(copy, gan.discriminator, gan.latent_dim, gan.num_classes)  # builds it
    copy.set_weights(gan.generator.get_weights())
    copy.trainable = False
    return copy
