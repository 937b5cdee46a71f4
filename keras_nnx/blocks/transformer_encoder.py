"""The pre-norm encoder block of a transformer."""

from __future__ import annotations

import random
from typing import Any

import keras

from keras_nnx import _checks
from keras_nnx.layers import FeedForward, StochasticDepth


@keras.saving.register_keras_serializable(package="keras_nnx")
class TransformerEncoderBlock(keras.layers.Layer):
    """Self-attention and a feed-forward network, each normalised first and added to what came in.

    Use it for the body of a transformer encoder; the sequence leaves un-normalised, so a stack ends with one
    `LayerNormalization`.

    Args:
        num_heads: Number of attention heads; has to divide the token size.
        hidden_dim: Width of the feed-forward network.
        activation: Its activation. Default: exact `"gelu"`.
        dropout: Fraction of attention weights and of hidden values dropped in training, in [0, 1).
        stochastic_depth: Probability that an example skips a branch in training, in [0, 1).
        epsilon: Added to the variance in the normalisations, over 0.
        seed: Seed of all draws in the block, which stay independent of each other.
        **kwargs: `name`, `dtype` and the like, as in `keras.layers.Layer`.

    Input shape:
        `(b, t, d)`; `t` may be unknown.

    Output shape:
        As the input. A mask `(b, t)` keeps padding out of the attention, and is passed on.

    Raises:
        ValueError: If an argument is out of its range, or `d` is unknown or not a multiple of `num_heads`.

    Example:
        >>> import numpy as np
        >>> import keras_nnx as nnx
        >>> block = nnx.blocks.TransformerEncoderBlock(num_heads=2, hidden_dim=32)
        >>> block(np.ones((2, 5, 8), "float32")).shape
        TensorShape([2, 5, 8])

    Source:
        Xiong et al., "On Layer Normalization in the Transformer Architecture" (2020), figure 1b.
    """

    def __init__(
        self,
        num_heads: int,
        hidden_dim: int,
        activation: Any = "gelu",
        dropout: float = 0.0,
        stochastic_depth: float = 0.0,
        epsilon: float = 1e-6,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.num_heads = _checks.positive_integer("TransformerEncoderBlock", "num_heads", num_heads)
        self.hidden_dim = _checks.positive_integer("TransformerEncoderBlock", "hidden_dim", hidden_dim)
        self.activation = keras.activations.get(activation)
        self.dropout = _checks.probability("TransformerEncoderBlock", "dropout", dropout)
        self.stochastic_depth = _checks.probability("TransformerEncoderBlock", "stochastic_depth", stochastic_depth)
        self.epsilon = _checks.positive_number("TransformerEncoderBlock", "epsilon", epsilon)
        self.seed = seed

    def build(self, input_shape: tuple) -> None:
        _checks.rank("TransformerEncoderBlock", input_shape, "b t d")
        dim = _checks.last_axis("TransformerEncoderBlock", input_shape)
        if dim % self.num_heads:
            raise ValueError(
                f"TransformerEncoderBlock(num_heads={self.num_heads}) cannot split tokens of size {dim} evenly: "
                f"choose a number of heads that divides {dim}."
            )
        common = {"dtype": self.dtype_policy}
        seeds = _child_seeds(self.seed, 4)
        self.attention_norm = keras.layers.LayerNormalization(epsilon=self.epsilon, name="attention_norm", **common)
        self.attention = keras.layers.MultiHeadAttention(
            self.num_heads,
            dim // self.num_heads,
            dropout=self.dropout,
            seed=seeds[0],
            name="attention",
            **common,
        )
        self.attention_depth = StochasticDepth(self.stochastic_depth, seed=seeds[1], name="attention_depth", **common)
        self.feed_forward_norm = keras.layers.LayerNormalization(
            epsilon=self.epsilon, name="feed_forward_norm", **common
        )
        self.feed_forward = FeedForward(
            self.hidden_dim, self.activation, dropout=self.dropout, seed=seeds[2], name="feed_forward", **common
        )
        self.feed_forward_depth = StochasticDepth(
            self.stochastic_depth, seed=seeds[3], name="feed_forward_depth", **common
        )
        self.attention_norm.build(input_shape)
        self.attention.build(input_shape, input_shape)
        self.attention_depth.build(input_shape)
        self.feed_forward_norm.build(input_shape)
        self.feed_forward.build(input_shape)
        self.feed_forward_depth.build(input_shape)

    def call(self, inputs: Any, mask: Any = None, training: bool | None = None) -> Any:  # b t d -> b t d
        tokens = self.attention_norm(inputs)
        branch = self.attention(tokens, tokens, query_mask=mask, value_mask=mask, training=training)
        attended = inputs + self.attention_depth(branch, training=training)
        branch = self.feed_forward(self.feed_forward_norm(attended), training=training)
        return attended + self.feed_forward_depth(branch, training=training)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "hidden_dim": self.hidden_dim,
            "activation": keras.activations.serialize(self.activation),
            "dropout": self.dropout,
            "stochastic_depth": self.stochastic_depth,
            "epsilon": self.epsilon,
            "seed": self.seed,
        }


def _child_seeds(seed: int | None, count: int) -> list[int | None]:
    """Return a seed for each child: with one and the same, both branches would always drop the same examples."""
    return [None] * count if seed is None else random.Random(seed).sample(range(2**31), count)
