"""Gates for channels, then for places."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_nnx import _checks
from keras_nnx._registration import register
from keras_nnx.layers._space import maximum_over_space, mean_over_space


@register
class ConvolutionalBlockAttention(keras.layers.Layer):
    """Weighs the channels of an image, then its places, each by a gate computed from means and maxima.

    Put it behind the convolutions of a residual branch. Keras has no layer for it.

    Args:
        ratio: Width of the network of the channel gate over the number of channels, in (0, 1]; rounded, at least one.
        kernel_size: Side of the convolution of the spatial gate, odd.
        **kwargs: `name`, `dtype` and the like, as in `keras.layers.Layer`.

    Input shape:
        `(b, h, w, c)`; `c` has to be known. Images carry no mask.

    Output shape:
        As the input.

    Raises:
        ValueError: If `ratio` is outside (0, 1], `kernel_size` is no odd positive integer, the input has no four axes,
            or its channels are unknown.

    Example:
        >>> import numpy as np
        >>> import keras_nnx as nnx
        >>> nnx.layers.ConvolutionalBlockAttention()(np.ones((1, 8, 8, 16), "float32")).shape
        TensorShape([1, 8, 8, 16])

    Source:
        Woo et al., "CBAM: Convolutional Block Attention Module" (2018), equations 1 to 3.
    """

    def __init__(self, ratio: float = 0.0625, kernel_size: int = 7, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.ratio = _checks.share("ConvolutionalBlockAttention", "ratio", ratio)
        self.kernel_size = _checks.odd("ConvolutionalBlockAttention", "kernel_size", kernel_size)

    def build(self, input_shape: tuple) -> None:
        _checks.rank("ConvolutionalBlockAttention", input_shape, "b h w c")
        channels = _checks.last_axis("ConvolutionalBlockAttention", input_shape)
        units = max(1, round(channels * self.ratio))
        common = {"dtype": self.dtype_policy}
        self.squeeze = keras.layers.Dense(units, activation="relu", name="squeeze", **common)
        self.excite = keras.layers.Dense(channels, name="excite", **common)
        self.spatial = keras.layers.Conv2D(
            1,
            self.kernel_size,
            padding="same",
            activation="sigmoid",
            data_format="channels_last",
            name="spatial",
            **common,
        )
        self.squeeze.build((input_shape[0], 1, 1, channels))
        self.excite.build((input_shape[0], 1, 1, units))
        self.spatial.build((*input_shape[:-1], 2))

    def call(self, inputs: Any) -> Any:  # b h w c -> b h w c
        means, maxima = mean_over_space(inputs), maximum_over_space(inputs)  # b 1 1 c
        channel_gates = ops.sigmoid(self.excite(self.squeeze(means)) + self.excite(self.squeeze(maxima)))
        x = inputs * channel_gates
        places = [ops.mean(x, axis=-1, keepdims=True), ops.max(x, axis=-1, keepdims=True)]
        return x * self.spatial(ops.concatenate(places, axis=-1))

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "ratio": self.ratio, "kernel_size": self.kernel_size}
