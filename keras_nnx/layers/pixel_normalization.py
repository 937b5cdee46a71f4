"""Pixels with the mean and the spread taken out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_nnx import _checks
from keras_nnx._registration import register

_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, of pixels from 0 to 1
_HIGHEST = 255


@register
class PixelNormalization(keras.layers.Layer):
    """Subtracts a mean from every channel of an image and divides by a standard deviation.

    Use it as the first layer of a model that takes pixels as they are, so that nobody has to prepare them elsewhere.
    `keras.layers.Normalization` keeps its statistics as constants of the graph; here they are weights that training
    leaves alone, and `keras_nnx.models.load_pretrained` can carry them over.

    Args:
        mean: Mean of each channel. Default: that of ImageNet, of pixels from 0 to 255; of other than three channels,
            its average over the channels.
        deviation: Standard deviation of each channel, over 0. Default: likewise.
        **kwargs: `name`, `dtype` and the like, as in `keras.layers.Layer`.

    Input shape:
        `(b, ..., c)`; `c` has to be known. Images carry no mask.

    Output shape:
        As the input.

    Raises:
        ValueError: If `c` is unknown or not the number of values given, or a deviation is not over 0.

    Example:
        >>> import numpy as np
        >>> import keras_nnx as nnx
        >>> nnx.layers.PixelNormalization()(np.full((1, 8, 8, 3), 127.0, "float32")).shape
        TensorShape([1, 8, 8, 3])

    Source:
        Krizhevsky et al., "ImageNet Classification with Deep Convolutional Neural Networks" (2012), section 2; the
        figures are those that torchvision publishes.
    """

    def __init__(
        self, mean: Sequence[float] | None = None, deviation: Sequence[float] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        for value in deviation or ():
            _checks.positive_number("PixelNormalization", "deviation", value)
        self.mean, self.deviation = mean, deviation

    def build(self, input_shape: tuple) -> None:
        channels = _checks.last_axis("PixelNormalization", input_shape)
        self.means = self._add("means", self.mean or _of_imagenet(_MEAN, channels), channels)
        self.deviations = self._add("deviations", self.deviation or _of_imagenet(_DEVIATION, channels), channels)

    def call(self, inputs: Any) -> Any:  # b ... c -> b ... c
        # In float32: the difference of two large numbers is what matters.
        inputs = ops.cast(inputs, "float32")
        normalized = (inputs - ops.cast(self.means, "float32")) / ops.cast(self.deviations, "float32")
        return ops.cast(normalized, self.compute_dtype)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mean": self.mean, "deviation": self.deviation}

    def _add(self, name: str, values: Sequence[float], channels: int) -> Any:
        if len(values) != channels:
            raise ValueError(
                f"PixelNormalization has {len(values)} {name}, but received {channels} channels: give one for each."
            )

        def initial(shape: tuple, dtype: Any = None) -> Any:
            return ops.convert_to_tensor(list(values), dtype=dtype)

        return self.add_weight(name=name, shape=(channels,), initializer=initial, trainable=False)


def _of_imagenet(values: Sequence[float], channels: int) -> list[float]:
    average = sum(values) / len(values)
    return [_HIGHEST * value for value in (values if channels == len(values) else [average] * channels)]
