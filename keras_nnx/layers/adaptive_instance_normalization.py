"""Images normalised one by one, with a scale and a shift that a style gives."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_nnx import _checks
from keras_nnx._registration import register

_OWNER = "AdaptiveInstanceNormalization"


@register
class AdaptiveInstanceNormalization(keras.layers.Layer):
    """Normalises each channel of each image over its positions, and scales and shifts it by what a style says.

    Use it in a generator whose style, a vector, is to rule every resolution. Keras has no layer for it.

    Args:
        epsilon: Added to the variance, over 0.
        **kwargs: `name`, `dtype` and the like, as in `keras.layers.Layer`.

    Call arguments:
        inputs: `(b, h, w, c)`.
        style: `(b, s)`.

    Input shape:
        `(b, h, w, c)` and `(b, s)`; `c` and `s` have to be known. Images carry no mask.

    Output shape:
        As `inputs`.

    Raises:
        ValueError: If `epsilon` is not over 0, an input has another number of axes, or unknown channels.

    Example:
        >>> import numpy as np
        >>> import keras_nnx as nnx
        >>> images, style = np.ones((2, 8, 8, 16), "float32"), np.ones((2, 32), "float32")
        >>> nnx.layers.AdaptiveInstanceNormalization()(images, style).shape
        TensorShape([2, 8, 8, 16])

    Source:
        Huang and Belongie, "Arbitrary Style Transfer in Real-Time with Adaptive Instance Normalization" (2017),
        equation 8; the style's projection, Karras et al., "A Style-Based Generator Architecture" (2019), equation 1.
    """

    def __init__(self, epsilon: float = 1e-5, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.epsilon = _checks.positive_number(_OWNER, "epsilon", epsilon)

    def build(self, inputs_shape: tuple, style_shape: tuple) -> None:
        _checks.rank(_OWNER, inputs_shape, "b h w c")
        _checks.rank(_OWNER, style_shape, "b s")
        channels = _checks.last_axis(_OWNER, inputs_shape)
        _checks.last_axis(_OWNER, style_shape)
        self.scale = keras.layers.Dense(channels, dtype=self.dtype_policy, name="scale")
        self.shift = keras.layers.Dense(channels, dtype=self.dtype_policy, name="shift")
        self.scale.build(style_shape)
        self.shift.build(style_shape)

    def call(self, inputs: Any, style: Any) -> Any:  # b h w c, b s -> b h w c
        # In float32: the difference of two large numbers is what matters.
        x = ops.cast(inputs, "float32")
        centred = x - ops.mean(x, axis=(1, 2), keepdims=True)
        variance = ops.mean(ops.square(centred), axis=(1, 2), keepdims=True)
        normalized = ops.cast(centred * ops.rsqrt(variance + self.epsilon), self.compute_dtype)
        scale, shift = (layer(style)[:, None, None, :] for layer in (self.scale, self.shift))  # b 1 1 c
        return normalized * (1 + scale) + shift

    def compute_output_shape(self, inputs_shape: tuple, style_shape: tuple) -> tuple:
        return inputs_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "epsilon": self.epsilon}
