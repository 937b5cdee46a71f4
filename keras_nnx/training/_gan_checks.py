"""What is wrong with the networks of a GAN, said before the first step."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

_OWNER = "GAN"
_PASSED_ON = ("Cast", "Identity", "Reshape", "Squeeze", "PreventGradient", "CheckNumerics", "StopGradient")
_CALLS = ("PartitionedCall", "StatefulPartitionedCall")
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
    if expected and not fits(shape, expected[0].shape):
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
    if not fits(tuple(augmentation(images, training=True).shape), images.shape):
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


def fits(one: tuple, other: tuple) -> bool:
    """Return whether two shapes may be the same."""
    return len(one) == len(other) and all(None in pair or pair[0] == pair[1] for pair in zip(one, other, strict=True))


def ending(model: keras.Model, inputs: Any, labels: tf.TensorSpec | None) -> str | None:
    """Return the name of the bounded activation that a model ends with, or None."""

    def call(values: Any, labels: Any = None) -> Any:
        return model(values if labels is None else [values, labels], training=False)

    arguments = (inputs,) if labels is None else (inputs, labels)
    graph = tf.function(call, autograph=False).get_concrete_function(*arguments)
    tensor = graph.outputs[0]
    while tensor.op.type in (*_PASSED_ON, *_CALLS):
        if tensor.op.type in _CALLS:
            body = tensor.graph._get_function(tensor.op.get_attr("f").name).graph
            tensor = body.outputs[tensor.value_index]
        else:
            tensor = tensor.op.inputs[0]
    return _BOUNDED.get(tensor.op.type)


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
    from keras_nnx.training._gan_steps import MEASURED
    from keras_nnx.training.critics import CriticRegularizer

    entries = (value,) if isinstance(value, CriticRegularizer) else tuple(value or ())
    for entry in entries:
        if not isinstance(entry, CriticRegularizer):
            raise ValueError(f"{_OWNER}.compile(regularizers={value!r}) needs R1, R2, GradientPenalty and the like.")
        if entry.name in (*MEASURED, "generator_loss"):
            raise ValueError(
                f"{_OWNER}.compile has a regularizer called {entry.name!r}, as the logs call another value."
            )
    names = [entry.name for entry in entries]
    if len(set(names)) < len(names):
        raise ValueError(f"{_OWNER}.compile has two regularizers of one name, {names}: give them name=.")
    return entries
