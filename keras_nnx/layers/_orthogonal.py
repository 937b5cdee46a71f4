"""Orthogonal matrices in any precision."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_nnx")
class WideOrthogonal(keras.initializers.Orthogonal):
    """`keras.initializers.Orthogonal`, computed in float32: TensorFlow decomposes no matrix of bfloat16."""

    def __call__(self, shape: tuple, dtype: Any = None) -> Any:
        """Return a matrix of `dtype`."""
        return ops.cast(super().__call__(shape, "float32"), dtype or keras.config.floatx())
