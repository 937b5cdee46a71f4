"""Shrinking an image without aliasing."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_nnx import _checks
from keras_nnx._registration import register

_LARGEST = 7


@register
class BlurPool(keras.layers.Layer):
    """Blurs an image with a binomial filter, and keeps every so many pixels.

    Put it where a network would stride: behind a convolution or a maximum pooling with a stride of one. The answer
    then hardly moves when the image does. Keras has no layer for it.

    Args:
        kernel_size: Side of the filter, from 1 (no blur) to 7. 3 weighs 1, 2, 1; 4 weighs 1, 3, 3, 1.
        strides: Every how many pixels one is kept, along both axes.
        **kwargs: `name`, `dtype` and the like, as in `keras.layers.Layer`.

    Input shape:
        `(b, h, w, c)`; `c` has to be known, and `h` and `w` larger than half the filter. Images carry no mask.

    Output shape:
        `(b, h / strides, w / strides, c)`, rounded up. Beyond its border the image goes on as its mirror image.

    Raises:
        ValueError: If `kernel_size` is no integer from 1 to 7, `strides` no positive integer, the input has no four
            axes or unknown channels, or a known side is too small for the filter.

    Example:
        >>> import numpy as np
        >>> import keras_nnx as nnx
        >>> nnx.layers.BlurPool()(np.ones((1, 7, 8, 3), "float32")).shape
        TensorShape([1, 4, 4, 3])

    Source:
        Zhang, "Making Convolutional Networks Shift-Invariant Again" (2019), section 3.2.
    """

    def __init__(self, kernel_size: int = 3, strides: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kernel_size = _checks.positive_integer("BlurPool", "kernel_size", kernel_size)
        if self.kernel_size > _LARGEST:
            raise ValueError(f"BlurPool(kernel_size={kernel_size}) is too wide: use a size from 1 to {_LARGEST}.")
        self.strides = _checks.positive_integer("BlurPool", "strides", strides)

    def build(self, input_shape: tuple) -> None:
        self.compute_output_shape(input_shape)
        weights = np.array([math.comb(self.kernel_size - 1, k) for k in range(self.kernel_size)])
        kernel = np.outer(weights, weights) / weights.sum() ** 2
        channels = _checks.last_axis("BlurPool", input_shape)
        self.kernel = np.repeat(kernel[:, :, None, None], channels, axis=2)  # h w c 1

    def call(self, inputs: Any) -> Any:  # b h w c -> b h/s w/s c
        x = ops.cast(inputs, self.compute_dtype)
        before, after = (self.kernel_size - 1) // 2, self.kernel_size // 2
        if after:
            x = ops.pad(x, ((0, 0), (before, after), (before, after), (0, 0)), mode="reflect")
        kernel = ops.convert_to_tensor(self.kernel, self.compute_dtype)
        return ops.depthwise_conv(x, kernel, strides=self.strides, padding="valid", data_format="channels_last")

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        _checks.rank("BlurPool", input_shape, "b h w c")
        for axis, side in zip(("height", "width"), input_shape[1:3], strict=True):
            if side is not None and side <= self.kernel_size // 2:
                raise ValueError(
                    f"BlurPool(kernel_size={self.kernel_size}) cannot mirror an image of {axis} {side}: use a smaller "
                    f"kernel, or shrink the image less before."
                )
        sides = (None if side is None else -(-side // self.strides) for side in input_shape[1:3])
        return (input_shape[0], *sides, input_shape[3])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "kernel_size": self.kernel_size, "strides": self.strides}
