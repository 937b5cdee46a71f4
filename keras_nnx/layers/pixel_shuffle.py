"""Channels laid out as pixels."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_nnx import _checks
from keras_nnx._registration import register


@register
class PixelShuffle(keras.layers.Layer):
    """Makes an image larger by laying out groups of channels as blocks of pixels.

    Put it behind a convolution with `factor**2` times the channels that are wanted: the cheapest learned enlargement,
    without the checkerboard of transposed convolutions. It is one operator, `DepthToSpace`, in every format. Keras has
    the operator, and no layer.

    Args:
        factor: How many times higher and wider the image gets, at least 1.
        **kwargs: `name`, `dtype` and the like, as in `keras.layers.Layer`.

    Input shape:
        `(b, h, w, factor**2 * c)`; the channels have to be known. Images carry no mask.

    Output shape:
        `(b, factor * h, factor * w, c)`. Pixel `(i, j)` of a block is made of the channels from
        `(i * factor + j) * c` on.

    Raises:
        ValueError: If `factor` is not a positive integer, the input has no four axes, or its channels are unknown or no
            multiple of `factor**2`.

    Example:
        >>> import numpy as np
        >>> import keras_nnx as nnx
        >>> nnx.layers.PixelShuffle(2)(np.ones((1, 4, 4, 12), "float32")).shape
        TensorShape([1, 8, 8, 3])

    Source:
        Shi et al., "Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel Convolutional Neural
        Network" (2016), equation 4, with the channels of one pixel side by side.
    """

    def __init__(self, factor: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factor = _checks.positive_integer("PixelShuffle", "factor", factor)

    def call(self, inputs: Any) -> Any:  # b h w f*f*c -> b f*h f*w c
        self.compute_output_shape(inputs.shape)
        return inputs if self.factor == 1 else ops.depth_to_space(inputs, self.factor, data_format="channels_last")

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        _checks.rank("PixelShuffle", input_shape, "b h w c")
        channels, group = _checks.last_axis("PixelShuffle", input_shape), self.factor**2
        if channels % group:
            raise ValueError(
                f"PixelShuffle(factor={self.factor}) makes one channel out of {group}, but received {channels}: "
                f"give it a multiple of {group}."
            )
        sides = (None if side is None else side * self.factor for side in input_shape[1:3])
        return (input_shape[0], *sides, channels // group)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": self.factor}
