"""A sequence read by learned queries."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_nnx import _checks
from keras_nnx._registration import register
from keras_nnx.layers.multi_head_attention import MultiHeadAttention


@register
class AttentionPooling(keras.layers.Layer):
    """Gathers a whole sequence into one vector by attention from a learned query.

    Use it instead of a class token or an average where different heads should look for different things. Keras has no
    layer for it.

    Args:
        num_heads: Number of attention heads; has to divide the token size.
        num_queries: How many vectors the sequence is gathered into.
        dropout: Fraction of attention weights dropped in training, in [0, 1).
        seed: Seed of the dropout.
        **kwargs: `name`, `dtype` and the like, as in `keras.layers.Layer`.

    Input shape:
        `(b, t, d)`; `t` may be unknown.

    Output shape:
        `(b, d)`, or `(b, num_queries, d)` if there are several. A mask `(b, t)` keeps padding out, and ends here.

    Raises:
        ValueError: If an argument is out of its range, or `d` is unknown or no multiple of `num_heads`.

    Example:
        >>> import numpy as np
        >>> import keras_nnx as nnx
        >>> nnx.layers.AttentionPooling(num_heads=2)(np.ones((3, 5, 8), "float32")).shape
        TensorShape([3, 8])

    Source:
        Lee et al., "Set Transformer" (2019), equation 11, without its feed-forward network.
    """

    def __init__(
        self, num_heads: int, num_queries: int = 1, dropout: float = 0.0, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.num_heads = _checks.positive_integer("AttentionPooling", "num_heads", num_heads)
        self.num_queries = _checks.positive_integer("AttentionPooling", "num_queries", num_queries)
        self.dropout = _checks.probability("AttentionPooling", "dropout", dropout)
        self.seed = seed

    def build(self, input_shape: tuple) -> None:
        _checks.rank("AttentionPooling", input_shape, "b t d")
        dim = _checks.last_axis("AttentionPooling", input_shape)
        shape = (1, self.num_queries, dim)
        self.queries = self.add_weight(
            name="queries", shape=shape, initializer=keras.initializers.RandomNormal(stddev=0.02)
        )
        self.attention = MultiHeadAttention(
            self.num_heads, dropout=self.dropout, seed=self.seed, name="attention", dtype=self.dtype_policy
        )
        self.attention.build((input_shape[0], *shape[1:]), input_shape)

    def call(self, inputs: Any, mask: Any = None, training: bool | None = None) -> Any:  # b t d -> b d
        queries = ops.cast(self.queries, self.compute_dtype)
        queries = ops.broadcast_to(queries, (ops.shape(inputs)[0], *self.queries.shape[1:]))
        outputs = self.attention(queries, inputs, context_mask=mask, training=training)
        return outputs[:, 0] if self.num_queries == 1 else outputs

    def compute_mask(self, inputs: Any, mask: Any = None) -> None:
        return None

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        batch, _, dim = input_shape
        return (batch, dim) if self.num_queries == 1 else (batch, self.num_queries, dim)

    def get_config(self) -> dict[str, Any]:
        names = ("num_heads", "num_queries", "dropout", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
