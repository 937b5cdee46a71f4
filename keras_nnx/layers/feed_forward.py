"""The position-wise network of a transformer block."""

from __future__ import annotations

from typing import Any

import keras

from keras_nnx import _checks


@keras.saving.register_keras_serializable(package="keras_nnx")
class FeedForward(keras.layers.Layer):
    """Widens every token, applies an activation and narrows it again.

    Use it as the second half of a transformer block: `Dense`, activation, dropout, `Dense`. Keras has no layer for
    the pair.

    Args:
        hidden_dim: Width between the two projections; usually four times the token size.
        activation: Name or function applied after the first projection. Default: exact `"gelu"`.
        dropout: Fraction of hidden values dropped in training, in [0, 1).
        seed: Seed of the dropout.
        **kwargs: `name`, `dtype` and the like, as in `keras.layers.Layer`.

    Input shape:
        `(..., d)`.

    Output shape:
        As the input. A mask is passed on unchanged.

    Raises:
        ValueError: If `hidden_dim` is not a positive integer, `dropout` is outside [0, 1), or `d` is unknown.

    Example:
        >>> import numpy as np
        >>> import keras_nnx as nnx
        >>> nnx.layers.FeedForward(64)(np.ones((2, 16, 8), "float32")).shape
        TensorShape([2, 16, 8])

    Source:
        Vaswani et al., "Attention Is All You Need" (2017), equation 2, with the activation left open.
    """

    def __init__(
        self,
        hidden_dim: int,
        activation: Any = "gelu",
        dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.hidden_dim = _checks.positive_integer("FeedForward", "hidden_dim", hidden_dim)
        self.activation = keras.activations.get(activation)
        self.dropout = _checks.probability("FeedForward", "dropout", dropout)
        self.seed = seed

    def build(self, input_shape: tuple) -> None:
        dim = _checks.last_axis("FeedForward", input_shape)
        hidden_shape = (*input_shape[:-1], self.hidden_dim)
        self.widen = keras.layers.Dense(
            self.hidden_dim, activation=self.activation, dtype=self.dtype_policy, name="widen"
        )
        self.drop = keras.layers.Dropout(self.dropout, seed=self.seed, dtype=self.dtype_policy, name="drop")
        self.narrow = keras.layers.Dense(dim, dtype=self.dtype_policy, name="narrow")
        self.widen.build(input_shape)
        self.drop.build(hidden_shape)
        self.narrow.build(hidden_shape)

    def call(self, inputs: Any, training: bool | None = None) -> Any:  # ... d -> ... d
        return self.narrow(self.drop(self.widen(inputs), training=training))

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "hidden_dim": self.hidden_dim,
            "activation": keras.activations.serialize(self.activation),
            "dropout": self.dropout,
            "seed": self.seed,
        }
