"""The encoder block of a transformer."""

from __future__ import annotations

from typing import Any

import keras

from keras_nnx import _checks
from keras_nnx._registration import register
from keras_nnx.blocks._transformer import (
    ARGUMENTS,
    add_branch,
    arguments_of,
    build_branch,
    child_seeds,
    keep_arguments,
    make_attention,
    make_feed_forward,
    scaled,
)

_OWNER = "TransformerEncoderBlock"


@register
class TransformerEncoderBlock(keras.layers.Layer):
    """Self-attention and a feed-forward network, each added to what came in.

    Use it for the body of a transformer encoder. With `order="pre"` and `"parallel"` the sequence leaves un-normalised,
    so a stack ends with one normalisation.

    Args:
        num_heads: Number of attention heads; has to divide the token size.
        hidden_dim: Width of the feed-forward network.
        activation: Its activation. Default: exact `"gelu"`.
        order: `"pre"` normalises what goes into each branch, `"post"` each sum; `"parallel"` normalises once for both
            branches, which then run side by side.
        normalization: `"layer"` or `"rms"`.
        dropout: Fraction of attention weights and of hidden values dropped in training, in [0, 1).
        stochastic_depth: Probability that an example skips a branch in training, in [0, 1).
        layer_scale: What the gain of each branch starts as; None for no gain.
        epsilon: Added to the variance in the normalisations, over 0.
        attention_options: More options of `MultiHeadAttention`, such as `{"rotary": {}, "query_key_norm": True}`.
        feed_forward_options: More options of `FeedForward`, such as `{"gated": True}`.
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
        Xiong et al., "On Layer Normalization in the Transformer Architecture" (2020), figure 1; parallel, Wang and
        Komatsuzaki, "GPT-J-6B" (2021).
    """

    def __init__(
        self,
        num_heads: int,
        hidden_dim: int,
        activation: Any = "gelu",
        order: str = "pre",
        normalization: str = "layer",
        dropout: float = 0.0,
        stochastic_depth: float = 0.0,
        layer_scale: float | None = None,
        epsilon: float = 1e-6,
        attention_options: dict[str, Any] | None = None,
        feed_forward_options: dict[str, Any] | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        keep_arguments(self, {name: value for name, value in locals().items() if name in ARGUMENTS})

    def build(self, input_shape: tuple) -> None:
        _checks.rank(_OWNER, input_shape, "b t d")
        _checks.last_axis(_OWNER, input_shape)
        seeds = child_seeds(self.seed, 4)
        self.attention = make_attention(self, "attention", seeds[0])
        self.feed_forward = make_feed_forward(self, seeds[2])
        self.attention.build(input_shape)
        self.feed_forward.build(input_shape)
        build_branch(self, "attention", input_shape, seeds[1])
        build_branch(self, "feed_forward", input_shape, seeds[3], normalized=self.order != "parallel")

    def call(self, inputs: Any, mask: Any = None, training: bool | None = None) -> Any:  # b t d -> b t d
        def attend(x: Any) -> Any:
            return self.attention(x, mask=mask, training=training)

        def transform(x: Any) -> Any:
            return self.feed_forward(x, training=training)

        if self.order == "parallel":
            x = self.attention_norm(inputs)
            attended = scaled(self, "attention", attend(x), training)
            return inputs + attended + scaled(self, "feed_forward", transform(x), training)
        x = add_branch(self, "attention", inputs, attend, training)
        return add_branch(self, "feed_forward", x, transform, training)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **arguments_of(self)}
