"""A learned gain for every feature of a residual branch."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_nnx import _checks
from keras_nnx._registration import register


@register
class LayerScale(keras.layers.Layer):
    """Multiplies every feature by a learned gain that starts small.

    Put it at the end of a residual branch: a deep network then starts as the identity, and trains where it would not.
    Keras has it as a private layer of `keras.applications` only.

    Args:
        initial_value: What every gain starts as. Default: 1e-5, for networks of more than 18 blocks; 0.1 for shallower.
        **kwargs: `name`, `dtype` and the like, as in `keras.layers.Layer`.

    Input shape:
        `(..., d)`.

    Output shape:
        As the input. A mask is passed on unchanged.

    Raises:
        ValueError: If `initial_value` is not over 0, or `d` is unknown.

    Example:
        >>> import numpy as np
        >>> import keras_nnx as nnx
        >>> nnx.layers.LayerScale(0.5)(np.ones((1, 3), "float32")).numpy().tolist()
        [[0.5, 0.5, 0.5]]

    Source:
        Touvron et al., "Going deeper with Image Transformers" (2021), equation 4.
    """

    def __init__(self, initial_value: float = 1e-5, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.initial_value = _checks.positive_number("LayerScale", "initial_value", initial_value)

    def build(self, input_shape: tuple) -> None:
        dim = _checks.last_axis("LayerScale", input_shape)
        self.gain = self.add_weight(
            name="gain", shape=(dim,), initializer=keras.initializers.Constant(self.initial_value)
        )

    def call(self, inputs: Any) -> Any:  # ... d -> ... d
        return ops.cast(inputs, self.compute_dtype) * ops.cast(self.gain, self.compute_dtype)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "initial_value": self.initial_value}
