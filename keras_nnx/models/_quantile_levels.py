"""Numbers made quantiles that cannot cross."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_nnx._registration import register


@register
class QuantileLevels(keras.layers.Layer):
    """Makes the first number of the last axis the lowest quantile, and the others the ways up to the next ones."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def build(self, input_shape: tuple) -> None:
        self.built = True

    def call(self, inputs: Any) -> Any:  # ... q
        inputs = ops.cast(inputs, self.compute_dtype)
        levels = [inputs[..., :1]]
        for index in range(1, inputs.shape[-1]):
            levels.append(levels[-1] + ops.softplus(inputs[..., index : index + 1]))
        return ops.concatenate(levels, axis=-1)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return input_shape
