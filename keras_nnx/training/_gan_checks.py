"""What is wrong with the parts of a GAN and with its data, said before the first step."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

_OWNER = "GAN"
_PASSED_ON = ("Cast", "Identity", "Reshape", "Squeeze", "PreventGradient", "CheckNumerics", "StopGradient")
_BOUNDED = {"Sigmoid": "sigmoid", "Softmax": "softmax", "Tanh": "tanh"}


def network(name: str, value: Any) -> keras.Model:
    """Return `value` if it is a model."""
    if not isinstance(value, keras.Model):
        raise ValueError(f"{_OWNER}({name}={value!r}) needs a keras.Model.")
    return value


def latent_dim(generator: keras.Model, given: int | None) -> int:
    """Return the size of what the generator starts from."""
    inputs = getattr(generator, "inputs", None)
    found = inputs[0].shape[-1] if inputs and len(inputs[0].shape) == 2 else None
    if given is None and found is None:
        raise ValueError(f"{_OWNER} cannot tell what its generator starts from: give it latent_dim=.")
    if found is not None and given not in (None, found):
        raise ValueError(
            f"{_OWNER}(latent_dim={given}) does not fit its generator, which takes latents of {found}: leave "
            "latent_dim out, or build the generator with it."
        )
    return int(found if given is None else given)  # type: ignore[arg-type]


def image_shape(
    generator: keras.Model, discriminator: keras.Model, latent_dim: int, num_classes: int | None
) -> tuple[int | None, ...]:
    """Build both networks, and return the shape of the generator's images without the batch.

    Raises:
        ValueError: If one cannot be called as a GAN does, or their shapes do not fit.
    """
    labels = None if num_classes is None else keras.KerasTensor((None,), "int32")
    images = _called("generator", generator, keras.KerasTensor((None, latent_dim), "float32"), labels, "latents")
    shape = tuple(images.shape)
    expected = getattr(discriminator, "inputs", None)
    if expected and not _fits(shape, expected[0].shape):
        raise ValueError(
            f"{_OWNER} has a generator of images {shape[1:]} and a discriminator for {tuple(expected[0].shape)[1:]}: "
            "build both for the same image shape."
        )
    scores = _called("discriminator", discriminator, keras.KerasTensor(shape, "float32"), labels, "images")
    if len(scores.shape) == 2 and scores.shape[-1] not in (None, 1):
        raise ValueError(
            f"{_OWNER} needs one score for each image, but its discriminator gives {scores.shape[-1]}: end it with a "
            "Dense(1)."
        )
    return shape[1:]


def augmentation_fits(augmentation: Any, shape: tuple[int | None, ...]) -> None:
    """Build an augmentation; Keras asks for that where there are several replicas.

    Raises:
        ValueError: If it changes the shape of images.
    """
    images = keras.KerasTensor((None, *shape), "float32")
    if not _fits(tuple(augmentation(images, training=True).shape), images.shape):
        raise ValueError(f"{_OWNER} needs an augmentation that leaves images of shape {shape}, and this one does not.")


def _called(name: str, model: keras.Model, inputs: Any, labels: Any, what: str) -> Any:
    taken = getattr(model, "inputs", None)
    wanted = 1 if labels is None else 2
    if taken and len(taken) != wanted:
        said = f"{what} alone" if labels is None else f"[{what}, labels]"
        why = "give the GAN num_classes=" if labels is None else "leave num_classes out"
        raise ValueError(
            f"{_OWNER} calls its {name} with {said}, but it takes {len(taken)} inputs: build one that takes {said}, or "
            f"{why}."
        )
    try:
        outputs = model(inputs if labels is None else [inputs, labels])
    except Exception as error:
        said = what if labels is None else f"a list [{what}, labels]"
        raise ValueError(
            f"{_OWNER} cannot build its {name} by calling it with {said} of shape {tuple(inputs.shape)}: {error}"
        ) from error
    if not isinstance(outputs, keras.KerasTensor):
        raise ValueError(f"{_OWNER} needs a {name} with one output, but received {type(outputs).__name__} from it.")
    return outputs


def _fits(one: tuple, other: tuple) -> bool:
    return len(one) == len(other) and all(None in pair or pair[0] == pair[1] for pair in zip(one, other, strict=True))


def ending(model: keras.Model, inputs: Any, labels: tf.TensorSpec | None) -> str | None:
    """Return the name of the bounded activation that a model ends with, or None."""

    def call(values: Any, labels: Any = None) -> Any:
        return model(values if labels is None else [values, labels], training=False)

    arguments = (inputs,) if labels is None else (inputs, labels)
    graph = tf.function(call, autograph=False).get_concrete_function(*arguments)
    operator = graph.outputs[0].op
    while operator.type in _PASSED_ON:
        operator = operator.inputs[0].op
    return _BOUNDED.get(operator.type)


def scores_are_logits(discriminator: keras.Model, images: tuple, num_classes: int | None) -> None:
    """Raise if the discriminator ends in a sigmoid: every loss here takes logits."""
    labels = None if num_classes is None else tf.TensorSpec((None,), tf.int32)
    found = ending(discriminator, tf.TensorSpec((None, *images), tf.float32), labels)
    if found is not None:
        raise ValueError(
            f"{_OWNER} needs a discriminator that gives logits, but this one ends in a {found}: take the activation "
            "off its last layer. The losses contain it."
        )


def regularizers(value: Any) -> tuple[Any, ...]:
    """Return regularisers whose names differ."""
    from keras_nnx.training.critics import CriticRegularizer

    entries = (value,) if isinstance(value, CriticRegularizer) else tuple(value or ())
    for entry in entries:
        if not isinstance(entry, CriticRegularizer):
            raise ValueError(f"{_OWNER}.compile(regularizers={value!r}) needs R1, R2, GradientPenalty and the like.")
    names = [entry.name for entry in entries]
    if len(set(names)) < len(names):
        raise ValueError(f"{_OWNER}.compile has two regularizers of one name, {names}: give them name=.")
    return entries


def data(x: Any, y: Any, conditional: bool, classes: int | None, bounded: bool) -> None:
    """Raise for arrays that a GAN cannot learn from; what else holds data is looked at in the first step."""
    if isinstance(x, tf.data.Dataset):
        spec = x.element_spec
        entries = spec if isinstance(spec, tuple) else (spec,)
        presence(len(entries) > 1, conditional)
        return
    if not hasattr(x, "shape") or not hasattr(x, "dtype"):
        return
    presence(y is not None, conditional)
    images = np.asarray(x[:1024])
    if bounded and images.size and (images.min() < -1.01 or images.max() > 1.01):
        raise ValueError(
            f"{_OWNER} received images from {images.min():g} to {images.max():g}, but its generator ends in a tanh, "
            "from -1 to 1: scale them, for instance by images / 127.5 - 1."
        )
    if conditional:
        known = np.asarray(y)
        if known.size and (known.min() < 0 or known.max() >= (classes or 0)):
            raise ValueError(
                f"{_OWNER}(num_classes={classes}) received labels from {known.min()} to {known.max()}: they have to be "
                f"integers from 0 to {(classes or 0) - 1}."
            )


def presence(has_labels: bool, conditional: bool) -> None:
    """Raise if labels are missing, or there are labels that nothing takes."""
    if conditional and not has_labels:
        raise ValueError(
            f"{_OWNER} is conditional, and received images without labels: pass both, fit(images, labels), or a data "
            "set of pairs."
        )
    if has_labels and not conditional:
        raise ValueError(
            f"{_OWNER} is not conditional, and received labels: pass the images alone, or give num_classes= and "
            "networks that take labels."
        )


def batch(images: Any, labels: Any, shape: tuple, conditional: bool) -> None:
    """Raise for a batch of another shape than the networks'."""
    presence(labels is not None, conditional)
    if not _fits(tuple(images.shape)[1:], shape):
        raise ValueError(
            f"{_OWNER} received images of shape {tuple(images.shape)[1:]}, but its generator makes {tuple(shape)}: "
            "resize the images, or build networks for them."
        )
    if labels is not None and not (len(labels.shape) == 1 or (len(labels.shape) == 2 and labels.shape[1] == 1)):
        raise ValueError(
            f"{_OWNER} needs one integer label for each image, but received labels of shape {tuple(labels.shape)}: "
            "turn one-hot labels into integers by argmax."
        )


def labels_to_generate(count: int, labels: Any, classes: int | None) -> np.ndarray | None:
    """Return a label for each of the images that are asked for, or None without classes."""
    if classes is None:
        if labels is not None:
            raise ValueError(f"{_OWNER}.generate(labels=...) needs a conditional GAN: this one has no num_classes.")
        return None
    if labels is None:
        raise ValueError(
            f"{_OWNER}.generate needs labels=, one for all images or one for each, from 0 to {classes - 1}."
        )
    values = np.asarray(labels)
    if values.ndim > 1 or (values.ndim == 1 and len(values) != count) or not np.issubdtype(values.dtype, np.integer):
        raise ValueError(
            f"{_OWNER}.generate(n={count}) needs one integer label, or {count}, but received labels of shape "
            f"{values.shape} and type {values.dtype}."
        )
    if values.min() < 0 or values.max() >= classes:
        raise ValueError(
            f"{_OWNER}.generate received labels from {values.min()} to {values.max()}: they go from 0 to {classes - 1}."
        )
    return np.broadcast_to(values, (count,)).astype("int32")


def belong(owner: str, labels: Any, model: Any) -> None:
    """Raise unless a callback has labels where its GAN is conditional, and none where it is not."""
    if (labels is None) != (model.num_classes is None):
        said = "needs labels= for a conditional GAN" if labels is None else "has labels, and the GAN none"
        raise ValueError(f"{owner} {said}: give both or neither.")
