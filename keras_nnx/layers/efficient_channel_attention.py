"""Channel gates from the means of neighbouring channels."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from keras_nnx import _checks
from keras_nnx._registration import register
from keras_nnx.layers._space import mean_over_space


@register
class EfficientChannelAttention(keras.layers.Layer):
    """Weighs channels by a gate that one short convolution computes from their means.

    It takes the place of `SqueezeExcite` with a handful of weights. Keras has no layer for it.

    Args:
        kernel_size: How many neighbouring channels one gate looks at, odd. Default: the odd number next to
            `log2(c) / 2 + 1 / 2`.
        **kwargs: `name`, `dtype` and the like, as in `keras.layers.Layer`.

    Input shape:
        `(b, h, w, c)`, or with another number of axes between: `(b, t, c)`, `(b, z, h, w, c)`. `c` has to be known.

    Output shape:
        As the input. A mask `(b, t)` of a sequence keeps padding out of the means, and is passed on.

    Raises:
        ValueError: If `kernel_size` is no odd positive integer, or the input has fewer than three axes or unknown
            channels.

    Example:
        >>> import numpy as np
        >>> import keras_nnx as nnx
        >>> nnx.layers.EfficientChannelAttention()(np.ones((1, 4, 4, 16), "float32")).shape
        TensorShape([1, 4, 4, 16])

    Source:
        Wang et al., "ECA-Net: Efficient Channel Attention for Deep Convolutional Neural Networks" (2020), equations 9
        and 12.
    """

    def __init__(self, kernel_size: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        if kernel_size is not None:
            kernel_size = _checks.odd("EfficientChannelAttention", "kernel_size", kernel_size)
        self.kernel_size = kernel_size

    def build(self, input_shape: tuple) -> None:
        _checks.least_rank("EfficientChannelAttention", input_shape, 3, "(b, h, w, c) or (b, t, c)")
        channels = _checks.last_axis("EfficientChannelAttention", input_shape)
        size = self.kernel_size or int(math.log2(channels) / 2 + 0.5) | 1
        self.gate = keras.layers.Conv1D(
            1,
            size,
            padding="same",
            use_bias=False,
            activation="sigmoid",
            data_format="channels_last",
            dtype=self.dtype_policy,
            name="gate",
        )
        self.gate.build((input_shape[0], channels, 1))

    def call(self, inputs: Any, mask: Any = None) -> Any:  # b ... c -> b ... c
        means = mean_over_space(inputs, mask)
        channels = inputs.shape[-1]
        gates = self.gate(ops.reshape(means, (-1, channels, 1)))  # b c 1
        return inputs * ops.reshape(gates, (-1, *(1,) * (len(inputs.shape) - 2), channels))

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "kernel_size": self.kernel_size}
