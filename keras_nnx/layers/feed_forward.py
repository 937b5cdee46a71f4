"""The position-wise network of a transformer block."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_nnx import _checks
from keras_nnx._registration import register


@register
class FeedForward(keras.layers.Layer):
    """Widens every token, applies an activation and narrows it again.

    Use it as the second half of a transformer block: `Dense`, activation, dropout, `Dense`. Gated, what is activated
    multiplies a second projection of the token: with `"sigmoid"` that is GLU, with `"gelu"` GEGLU,
    with `"silu"` SwiGLU.
    Keras has no layer for either.

    Args:
        hidden_dim: Width between the two projections; usually four times the token size, and two thirds of that if
            gated, which costs the same.
        activation: Name or function applied after the first projection. Default: exact `"gelu"`.
        gated: Whether the activated half of a first projection of twice the width multiplies the other half.
        use_bias: Whether the projections add a bias; gated ones mostly do without.
        dropout: Fraction of hidden values dropped in training, in [0, 1).
        units: Number of output features. Default: as many as there are.
        seed: Seed of the dropout.
        **kwargs: `name`, `dtype` and the like, as in `keras.layers.Layer`.

    Input shape:
        `(..., d)`.

    Output shape:
        `(..., units)`. A mask is passed on unchanged.

    Raises:
        ValueError: If `hidden_dim` or `units` is not a positive integer, `dropout` is outside [0, 1), or `d` is
            unknown.

    Example:
        >>> import numpy as np
        >>> import keras_nnx as nnx
        >>> nnx.layers.FeedForward(64)(np.ones((2, 16, 8), "float32")).shape
        TensorShape([2, 16, 8])

    Source:
        Vaswani et al., "Attention Is All You Need" (2017), equation 2, with the activation left open; gated, Shazeer,
        "GLU Variants Improve Transformer" (2020), equation 6.
    """

    def __init__(
        self,
        hidden_dim: int,
        activation: Any = "gelu",
        gated: bool = False,
        use_bias: bool = True,
        dropout: float = 0.0,
        units: int | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.hidden_dim = _checks.positive_integer("FeedForward", "hidden_dim", hidden_dim)
        self.activation = keras.activations.get(activation)
        self.gated, self.use_bias = gated, use_bias
        self.dropout = _checks.probability("FeedForward", "dropout", dropout)
        self.units = _checks.optional_positive_integer("FeedForward", "units", units)
        self.seed = seed

    def build(self, input_shape: tuple) -> None:
        dim = _checks.last_axis("FeedForward", input_shape)
        hidden_shape = (*input_shape[:-1], self.hidden_dim)
        common = {"use_bias": self.use_bias, "dtype": self.dtype_policy}
        self.widen = keras.layers.Dense(
            2 * self.hidden_dim if self.gated else self.hidden_dim,
            activation=None if self.gated else self.activation,
            name="widen",
            **common,
        )
        self.drop = keras.layers.Dropout(self.dropout, seed=self.seed, dtype=self.dtype_policy, name="drop")
        self.narrow = keras.layers.Dense(self.units or dim, name="narrow", **common)
        self.widen.build(input_shape)
        self.drop.build(hidden_shape)
        self.narrow.build(hidden_shape)

    def call(self, inputs: Any, training: bool | None = None) -> Any:  # ... d -> ... units
        hidden = self.widen(inputs)
        if self.gated:
            gate, value = ops.split(hidden, 2, axis=-1)
            hidden = self.activation(gate) * value
        return self.narrow(self.drop(hidden, training=training))

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return (*input_shape[:-1], self.units or input_shape[-1])

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "hidden_dim": self.hidden_dim,
            "activation": keras.activations.serialize(self.activation),
            "gated": self.gated,
            "use_bias": self.use_bias,
            "dropout": self.dropout,
            "units": self.units,
            "seed": self.seed,
        }
