"""Self-attention over the positions of an image."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_nnx import _checks
from keras_nnx._registration import register
from keras_nnx.layers.spectral_normalization import SpectralNormalization

_OWNER = "SpatialSelfAttention"
_NORMALIZATIONS = ("spectral", None)


@register
class SpatialSelfAttention(keras.layers.Layer):
    """Adds to each position of an image what it finds at all others, weighed by a number that starts at zero.

    Put it at one of the middle sizes of a generator or a discriminator, where parts that lie far apart have to fit
    together. Its time and its memory grow with the square of the number of positions.

    Args:
        key_ratio: Size of queries and keys over the number of channels, in (0, 1]; rounded, and at least one.
        value_ratio: Size of values over the number of channels, likewise.
        pool_size: Side of the squares from which keys and values are taken, by their maximum; 1 takes every position.
        normalization: `"spectral"` normalises the kernels, as the paper does; None leaves them.
        **kwargs: `name`, `dtype` and the like, as in `keras.layers.Layer`.

    Input shape:
        `(b, h, w, c)`; `h` and `w` may be unknown, `c` has to be known. Images carry no mask.

    Output shape:
        As the input.

    Raises:
        ValueError: If an argument is out of its range, the input has no four axes, or `c` is unknown.

    Example:
        >>> import numpy as np
        >>> import keras_nnx as nnx
        >>> images = np.ones((1, 8, 8, 16), "float32")
        >>> bool((nnx.layers.SpatialSelfAttention()(images) == images).numpy().all())
        True

    Source:
        Zhang et al., "Self-Attention Generative Adversarial Networks" (2019), equations 1 to 3; pooled keys and values,
        Brock et al., "Large Scale GAN Training" (2019).
    """

    def __init__(
        self,
        key_ratio: float = 0.125,
        value_ratio: float = 0.5,
        pool_size: int = 2,
        normalization: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.key_ratio = _checks.share(_OWNER, "key_ratio", key_ratio)
        self.value_ratio = _checks.share(_OWNER, "value_ratio", value_ratio)
        self.pool_size = _checks.positive_integer(_OWNER, "pool_size", pool_size)
        self.normalization = _checks.one_of(_OWNER, "normalization", normalization, _NORMALIZATIONS)

    def build(self, input_shape: tuple) -> None:
        _checks.rank(_OWNER, input_shape, "b h w c")
        channels = _checks.last_axis(_OWNER, input_shape)
        keys, self.value_dim = (max(1, round(channels * ratio)) for ratio in (self.key_ratio, self.value_ratio))
        self.query = self._projection(keys, "query")
        self.key = self._projection(keys, "key")
        self.value = self._projection(self.value_dim, "value")
        self.output_projection = self._projection(channels, "output")
        for layer in (self.query, self.key, self.value):
            layer.build(input_shape)
        self.output_projection.build((*input_shape[:-1], self.value_dim))
        self.pool = keras.layers.MaxPooling2D(
            self.pool_size, padding="same", data_format="channels_last", dtype=self.dtype_policy, name="pool"
        )
        self.pool.build((*input_shape[:-1], keys))
        self.gamma = self.add_weight(name="gamma", shape=(), initializer="zeros")

    def call(self, inputs: Any, training: bool | None = None) -> Any:  # b h w c -> b h w c
        query, key, value = (self._project(layer, inputs, training) for layer in (self.query, self.key, self.value))
        if self.pool_size > 1:
            key, value = self.pool(key), self.pool(value)
        query, key, value = map(_positions, (query, key, value))  # b n k, b m k, b m v
        scores = ops.cast(ops.matmul(query, ops.transpose(key, (0, 2, 1))), "float32")  # b n m
        weights = ops.cast(ops.softmax(scores, axis=-1), self.compute_dtype)
        batch, height, width = ops.shape(inputs)[:3]
        found = ops.reshape(ops.matmul(weights, value), (batch, height, width, self.value_dim))
        return inputs + self.gamma * self._project(self.output_projection, found, training)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        names = ("key_ratio", "value_ratio", "pool_size", "normalization")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}

    def _projection(self, filters: int, name: str) -> keras.layers.Layer:
        common = {"dtype": self.dtype_policy, "name": name}
        layer = keras.layers.Conv2D(filters, 1, use_bias=False, data_format="channels_last", **common)
        return SpectralNormalization(layer, **common) if self.normalization == "spectral" else layer

    def _project(self, layer: keras.layers.Layer, x: Any, training: bool | None) -> Any:
        return layer(x, training=training) if self.normalization == "spectral" else layer(x)


def _positions(x: Any) -> Any:  # b h w d -> b n d
    return ops.reshape(x, (ops.shape(x)[0], -1, x.shape[-1]))
