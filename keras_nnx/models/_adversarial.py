"""What the generators and the discriminators share: sizes, inputs, attention and heads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from keras_nnx import _checks
from keras_nnx.layers import (
    LabelConcatenation,
    MinibatchStandardDeviation,
    ProjectionHead,
    SpatialSelfAttention,
    SpectralNormalization,
)
from keras_nnx.models._head import plain_shape

_CONDITIONINGS = ("projection", "concatenation")


class Stages:
    """The sizes of the maps of one model, from the largest to the smallest, the image first."""

    def __init__(self, owner: str, image_shape: Any, filters: Sequence[int]) -> None:
        self.owner, self.filters = owner, check_filters(owner, filters)
        shape = plain_shape(image_shape)
        if len(shape) != 3 or any(size is None or size < 1 for size in shape):
            raise ValueError(
                f"{owner}(image_shape={image_shape!r}) needs height, width and channels, such as (32, 32, 3)."
            )
        self.shape = tuple(size for size in shape if size is not None)
        factor = 2 ** len(self.filters)
        for name, side in zip(("height", "width"), self.shape, strict=False):
            if side % factor:
                below, above = side // factor * factor, -(-side // factor) * factor
                fitting = " or ".join(str(size) for size in (below, above) if size)
                raise ValueError(
                    f"{owner}(image_shape={image_shape!r}) has the {name} {side}, which {len(self.filters)} stages "
                    f"cannot halve evenly: use {fitting}, or another number of filters."
                )
        height, width, _ = self.shape
        self.sides = [(height // 2**index, width // 2**index) for index in range(len(self.filters) + 1)]

    def check_attention(self, size: int | None, heights: Sequence[int]) -> None:
        """Raise unless a map has the height that is to be attended over."""
        if size is not None and size not in heights:
            known = ", ".join(map(str, sorted(heights)))
            raise ValueError(
                f"{self.owner}(attention_size={size!r}) is the height of no map: choose one of {known}, or None."
            )


def check_filters(owner: str, filters: Any) -> list[int]:
    """Return the number of filters of each stage; there is at least one."""
    if not isinstance(filters, list | tuple) or not filters:
        raise ValueError(f"{owner}(filters={filters!r}) needs the number of filters of each stage, such as (128, 64).")
    return [_checks.positive_integer(owner, "filters", width) for width in filters]


def labels_input(owner: str, num_classes: int | None) -> Any:
    """Return the input for labels, if there are classes."""
    if _checks.optional_positive_integer(owner, "num_classes", num_classes) is None:
        return None
    return keras.Input((), dtype="int32", name="labels")


def latent_input(owner: str, latent_dim: int) -> Any:
    """Return the input for the numbers of which images are made."""
    return keras.Input((_checks.positive_integer(owner, "latent_dim", latent_dim),), name="latent")


def model(inputs: Any, labels: Any, outputs: Any, name: str) -> keras.Model:
    """Return a model of one input, or of two if there are labels."""
    return keras.Model(inputs if labels is None else [inputs, labels], outputs, name=name)


def spectral(layer: keras.layers.Layer, normalization: str | None) -> keras.layers.Layer:
    """Return `layer` with a normalised kernel, if that is what normalises."""
    return SpectralNormalization(layer, name=layer.name) if normalization == "spectral" else layer


def projected(latent: Any, stages: Stages, normalization: str | None, use_bias: bool) -> Any:
    """Return the first map of a generator, whose channels are the filters of its first stage."""
    height, width = stages.sides[-1]
    layer = keras.layers.Dense(height * width * stages.filters[0], use_bias=use_bias, name="projection")
    x = spectral(layer, normalization)(latent)
    return keras.layers.Reshape((height, width, stages.filters[0]), name="map")(x)


def attended(x: Any, size: int | None, normalization: str | None) -> Any:
    """Return a map with self-attention, if it is the one that is to have it."""
    if x.shape[1] != size:
        return x
    return SpatialSelfAttention(normalization="spectral" if normalization == "spectral" else None, name="attention")(x)


def pictures(x: Any, activation: Any) -> Any:
    """Return images in float32 whatever the dtype policy is."""
    return keras.layers.Activation(activation, dtype="float32", name="images")(x)


def images_input(stages: Stages, labels: Any, num_classes: int | None, conditioning: str) -> tuple[Any, Any]:
    """Return the input for images, and the first map: with planes for the classes if they are to be concatenated."""
    _checks.one_of(stages.owner, "conditioning", conditioning, _CONDITIONINGS)
    images = keras.Input(stages.shape, name="images")
    if num_classes is None or conditioning == "projection":
        return images, images
    return images, LabelConcatenation(num_classes, name="classes")(images, labels)


def compared(owner: str, x: Any, channels: int) -> Any:
    """Return a map with as many channels more that tell how much the batch differs."""
    if _checks.at_least_zero(owner, "minibatch_deviation", channels) == 0:
        return x
    if x.shape[-1] % channels:
        raise ValueError(
            f"{owner}(minibatch_deviation={channels}) cannot split the {x.shape[-1]} channels of the last stage "
            f"evenly: use a divisor of {x.shape[-1]}."
        )
    return MinibatchStandardDeviation(channels=channels, name="minibatch_deviation")(x)


def logits(features: Any, labels: Any, num_classes: int | None, normalization: str | None, conditioning: str) -> Any:
    """Return one logit for each example, in float32 whatever the dtype policy is."""
    projects = labels is not None and conditioning == "projection"
    head = ProjectionHead(
        num_classes if projects else None, "spectral" if normalization == "spectral" else None, name="head"
    )
    x = head(features, labels) if projects else head(features)
    return keras.layers.Activation("linear", dtype="float32", name="logits")(x)
