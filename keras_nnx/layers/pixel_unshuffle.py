"""Pixels laid out as channels."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_nnx import _checks
from keras_nnx._registration import register


@register
class PixelUnshuffle(keras.layers.Layer):
    """Makes an image smaller by laying out blocks of pixels as channels; nothing is lost.

    It undoes `PixelShuffle`. It is one operator, `SpaceToDepth`, in every format. Keras has the operator, and no layer.

    Args:
        factor: How many times lower and narrower the image gets, at least 1.
        **kwargs: `name`, `dtype` and the like, as in `keras.layers.Layer`.

    Input shape:
        `(b, h, w, c)`; `h` and `w` may be unknown, and have to be multiples of `factor` then too. Images carry no mask.

    Output shape:
        `(b, h / factor, w / factor, factor**2 * c)`.

    Raises:
        ValueError: If `factor` is not a positive integer, the input has no four axes, its channels are unknown, or a
            known height or width is no multiple of `factor`.

    Example:
        >>> import numpy as np
        >>> import keras_nnx as nnx
        >>> nnx.layers.PixelUnshuffle(2)(np.ones((1, 8, 8, 3), "float32")).shape
        TensorShape([1, 4, 4, 12])

    Source:
        The inverse of Shi et al., "Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel
        Convolutional Neural Network" (2016), equation 4.
    """

    def __init__(self, factor: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factor = _checks.positive_integer("PixelUnshuffle", "factor", factor)

    def call(self, inputs: Any) -> Any:  # b f*h f*w c -> b h w f*f*c
        self.compute_output_shape(inputs.shape)
        return inputs if self.factor == 1 else ops.space_to_depth(inputs, self.factor, data_format="channels_last")

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        _checks.rank("PixelUnshuffle", input_shape, "b h w c")
        channels = _checks.last_axis("PixelUnshuffle", input_shape)
        for axis, side in zip(("height", "width"), input_shape[1:3], strict=True):
            if side is not None and side % self.factor:
                raise ValueError(
                    f"PixelUnshuffle(factor={self.factor}) cannot cut an image of {axis} {side} into whole blocks: "
                    f"crop or pad it to a multiple of {self.factor}."
                )
        sides = (None if side is None else side // self.factor for side in input_shape[1:3])
        return (input_shape[0], *sides, channels * self.factor**2)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": self.factor}
