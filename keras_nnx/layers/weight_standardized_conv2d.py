"""A convolution whose kernels have mean zero and variance one."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_nnx import _checks
from keras_nnx._registration import register


@register
class WeightStandardizedConv2D(keras.layers.Conv2D):
    """`keras.layers.Conv2D` with every filter shifted to mean zero and scaled to variance one.

    Use it with `GroupNormalization` where batches are too small for `BatchNormalization`. The filters are standardised
    whenever they are used; in an exported file they are constants.

    Args:
        filters: Number of output channels.
        kernel_size: Height and width of a filter; one integer for both.
        epsilon: Added to the variance of a filter, over 0.
        **kwargs: Everything else that `keras.layers.Conv2D` takes.

    Input shape:
        `(b, h, w, c)`. Images carry no mask.

    Output shape:
        As that of `keras.layers.Conv2D`.

    Raises:
        ValueError: If `epsilon` is not over 0, the filter is larger than an image without padding, or
            `keras.layers.Conv2D` takes no such argument.

    Example:
        >>> import numpy as np
        >>> import keras_nnx as nnx
        >>> nnx.layers.WeightStandardizedConv2D(8, 3, padding="same")(np.ones((1, 4, 4, 3), "float32")).shape
        TensorShape([1, 4, 4, 8])

    Source:
        Qiao et al., "Micro-Batch Training with Batch-Channel Normalization and Weight Standardization" (2019),
        equations 3 and 4.
    """

    def __init__(self, filters: int, kernel_size: Any, epsilon: float = 1e-5, **kwargs: Any) -> None:
        super().__init__(filters, kernel_size, **kwargs)
        self.epsilon = _checks.positive_number("WeightStandardizedConv2D", "epsilon", epsilon)

    def build(self, input_shape: tuple) -> None:
        sides = input_shape[1:3] if self.data_format == "channels_last" else input_shape[2:4]
        for axis, side, size, gap in zip(("height", "width"), sides, self.kernel_size, self.dilation_rate, strict=True):
            reach = gap * (size - 1) + 1
            if self.padding == "valid" and side is not None and side < reach:
                raise ValueError(
                    f"WeightStandardizedConv2D has filters that reach over {reach} pixels, but received an image of "
                    f'{axis} {side}: use padding="same", smaller filters, or larger images.'
                )
        super().build(input_shape)

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        """Convolve with the standardised kernel."""
        wide = ops.cast(kernel, "float32")
        mean, variance = ops.moments(wide, axes=(0, 1, 2), keepdims=True)
        standard = (wide - mean) * ops.rsqrt(variance + self.epsilon)
        return super().convolution_op(inputs, ops.cast(standard, self.compute_dtype))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "epsilon": self.epsilon}
