"""Normalisation by how strongly a channel answers to the whole image."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_nnx import _checks
from keras_nnx._registration import register


@register
class GlobalResponseNormalization(keras.layers.Layer):
    """Multiplies every channel by its norm over the whole image, relative to the other channels, and adds the input.

    Put it behind the wide activation of a ConvNeXt block, where it keeps channels from becoming copies of each other.
    Keras has no layer for it.

    Args:
        epsilon: Added to the mean norm, and to the square root under which the norm is taken, over 0.
        **kwargs: `name`, `dtype` and the like, as in `keras.layers.Layer`.

    Input shape:
        `(b, h, w, c)`, or with another number of axes between: `(b, t, c)`, `(b, z, h, w, c)`. `c` has to be known.

    Output shape:
        As the input. A mask `(b, t)` of a sequence keeps padding out of the norms, and is passed on.

    Raises:
        ValueError: If `epsilon` is not over 0, or the input has fewer than three axes or unknown channels.

    Example:
        >>> import numpy as np
        >>> import keras_nnx as nnx
        >>> nnx.layers.GlobalResponseNormalization()(np.ones((1, 4, 4, 16), "float32")).shape
        TensorShape([1, 4, 4, 16])

    Source:
        Woo et al., "ConvNeXt V2" (2023), equations 1 to 3 and algorithm 1.
    """

    def __init__(self, epsilon: float = 1e-6, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.epsilon = _checks.positive_number("GlobalResponseNormalization", "epsilon", epsilon)

    def build(self, input_shape: tuple) -> None:
        _checks.least_rank("GlobalResponseNormalization", input_shape, 3, "(b, h, w, c) or (b, t, c)")
        channels = _checks.last_axis("GlobalResponseNormalization", input_shape)
        self.gamma = self.add_weight(name="gamma", shape=(channels,), initializer="zeros")
        self.beta = self.add_weight(name="beta", shape=(channels,), initializer="zeros")

    def call(self, inputs: Any, mask: Any = None) -> Any:  # b ... c -> b ... c
        wide = "float32" if self.compute_dtype in ("float16", "bfloat16") else self.compute_dtype
        x = ops.cast(inputs, wide)
        counted = x if mask is None else x * ops.cast(ops.expand_dims(mask, -1), wide)
        squares = ops.sum(ops.square(counted), axis=tuple(range(1, len(inputs.shape) - 1)), keepdims=True)
        norms = ops.sqrt(squares + self.epsilon**2)  # b 1 1 c; the root of zero has no gradient
        relative = norms / (ops.mean(norms, axis=-1, keepdims=True) + self.epsilon)
        outputs = x * (1 + ops.cast(self.gamma, wide) * relative) + ops.cast(self.beta, wide)
        return ops.cast(outputs, self.compute_dtype)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "epsilon": self.epsilon}
