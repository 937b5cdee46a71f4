"""The decoder block of a transformer."""

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

_OWNER = "TransformerDecoderBlock"


@register
class TransformerDecoderBlock(keras.layers.Layer):
    """Causal self-attention, attention to a context if there is one, and a feed-forward network, each added.

    Use it for language models, and with a context for the decoder of a sequence-to-sequence model.

    Args:
        num_heads: Number of attention heads; has to divide the token size.
        hidden_dim: Width of the feed-forward network.
        activation: Its activation. Default: exact `"gelu"`.
        order: `"pre"` normalises what goes into each branch, `"post"` each sum; `"parallel"` normalises once for all
            branches, which then run side by side.
        normalization: `"layer"` or `"rms"`.
        dropout: Fraction of attention weights and of hidden values dropped in training, in [0, 1).
        stochastic_depth: Probability that an example skips a branch in training, in [0, 1).
        layer_scale: What the gain of each branch starts as; None for no gain.
        epsilon: Added to the variance in the normalisations, over 0.
        attention_options: More options of the self-attention, such as `{"rotary": {}, "num_key_value_heads": 2}`.
        feed_forward_options: More options of `FeedForward`, such as `{"gated": True}`.
        seed: Seed of all draws in the block, which stay independent of each other.
        **kwargs: `name`, `dtype` and the like, as in `keras.layers.Layer`.

    Call arguments:
        inputs: `(b, t, d)`.
        context: `(b, s, e)`, what the second attention gathers from; a block that was built without has none.
        mask, inputs_mask: `(b, t)`, true for what is not padding; Keras hands over the one attached to `inputs`.
        context_mask: `(b, s)`, the same of `context`.

    Input shape:
        `(b, t, d)`, and `(b, s, e)` if there is a context; `t` and `s` may be unknown.

    Output shape:
        `(b, t, d)`. Masks keep padding out of the attention; that of `inputs` is passed on.

    Raises:
        ValueError: If an argument is out of its range, `d` is unknown or not a multiple of `num_heads`, or a context
            comes that the block was not built for, or is missing.

    Example:
        >>> import numpy as np
        >>> import keras_nnx as nnx
        >>> block = nnx.blocks.TransformerDecoderBlock(num_heads=2, hidden_dim=32)
        >>> block(np.ones((2, 5, 8), "float32"), np.ones((2, 7, 6), "float32")).shape
        TensorShape([2, 5, 8])

    Source:
        Vaswani et al., "Attention Is All You Need" (2017), figure 1; Xiong et al., "On Layer Normalization in the
        Transformer Architecture" (2020), for the order.
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

    def build(self, inputs_shape: tuple, context_shape: tuple | None = None) -> None:
        _checks.rank(_OWNER, inputs_shape, "b t d")
        _checks.last_axis(_OWNER, inputs_shape)
        seeds = child_seeds(self.seed, 6)
        parallel = self.order == "parallel"
        self.attention = make_attention(self, "attention", seeds[0], causal=True)
        self.feed_forward = make_feed_forward(self, seeds[2])
        self.attention.build(inputs_shape)
        self.feed_forward.build(inputs_shape)
        build_branch(self, "attention", inputs_shape, seeds[1])
        build_branch(self, "feed_forward", inputs_shape, seeds[3], normalized=not parallel)
        self.reads_context = context_shape is not None
        if self.reads_context:
            alone = {"rotary": None, "window": None, "causal": False}  # positions do not carry over
            self.context_attention = make_attention(self, "context_attention", seeds[4], **alone)
            self.context_attention.build(inputs_shape, context_shape)
            build_branch(self, "context_attention", inputs_shape, seeds[5], normalized=not parallel)

    def call(
        self,
        inputs: Any,
        context: Any = None,
        mask: Any = None,
        inputs_mask: Any = None,
        context_mask: Any = None,
        training: bool | None = None,
    ) -> Any:  # b t d -> b t d
        if (context is not None) != self.reads_context:
            raise ValueError(
                f"TransformerDecoderBlock was built {'with' if self.reads_context else 'without'} a context, and is "
                f"called {'without' if self.reads_context else 'with'} one: make another block for that."
            )
        own_mask = inputs_mask if mask is None else mask
        branches = {"attention": lambda x: self.attention(x, mask=own_mask, training=training)}
        if self.reads_context:
            branches["context_attention"] = lambda x: self.context_attention(
                x, context, mask=own_mask, context_mask=context_mask, training=training
            )
        branches["feed_forward"] = lambda x: self.feed_forward(x, training=training)
        if self.order == "parallel":
            x, total = self.attention_norm(inputs), inputs
            for name, compute in branches.items():
                total = total + scaled(self, name, compute(x), training)
            return total
        x = inputs
        for name, compute in branches.items():
            x = add_branch(self, name, x, compute, training)
        return x

    def compute_output_shape(self, inputs_shape: tuple, context_shape: tuple | None = None) -> tuple:
        return inputs_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **arguments_of(self)}
