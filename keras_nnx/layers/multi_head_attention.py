"""Attention with everything that language and vision transformers of today do to it."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_nnx import _checks
from keras_nnx._registration import register
from keras_nnx.layers._attention import attend, turned
from keras_nnx.layers._chunked_attention import attend_in_chunks
from keras_nnx.layers._low_rank import projection
from keras_nnx.layers._visibility import visible_positions
from keras_nnx.layers.rotary_embedding import RotaryEmbedding

_OWNER = "MultiHeadAttention"


@register
class MultiHeadAttention(keras.layers.Layer):
    """Lets every token gather from those that it may see, once for each head.

    `keras.layers.MultiHeadAttention` takes query, value and key, always three; this layer takes the sequence, and for
    cross-attention a second one. It adds grouped queries, rotary positions and normalised queries and keys to it.

    Args:
        num_heads: Number of heads of queries.
        head_dim: Size of a head. Default: the size of a token over `num_heads`, which has to divide it.
        num_key_value_heads: Number of heads of keys and values, which `num_heads` is a multiple of. Default: as many.
        causal: Whether a token sees itself and earlier ones only.
        window: How far a token sees: itself and the `window - 1` before it, and if not `causal` as many behind it.
            Default: any distance.
        rotary: Options of the `RotaryEmbedding` that turns queries and keys, such as `{"base": 1e6}`; `{}` for its
            defaults. Default: no rotation.
        query_key_norm: Whether each head of the queries and keys is divided by its root mean square.
        use_bias: Whether the four projections add a bias.
        chunk_size: How many queries are served at a time, for long sequences: memory then grows with the length and not
            with its square; the gradient computes the weights anew. ONNX and TFLite files do without. Default: all.
        dropout: Fraction of attention weights dropped in training, in [0, 1).
        seed: Seed of the dropout.
        lora_rank: Rank of low-rank additions to the four projections, which train in the place of their kernels, as
            `enable_lora` adds them. Default: there are none.
        lora_alpha: The additions are multiplied by this over `lora_rank`. Default: `lora_rank`.
        **kwargs: `name`, `dtype` and the like, as in `keras.layers.Layer`.

    Call arguments:
        inputs: `(b, t, d)`, what the queries are made of.
        context: `(b, s, e)`, what the keys and values are made of. Default: `inputs`.
        mask, inputs_mask: `(b, t)`, true for what is not padding; Keras hands over the one attached to `inputs`.
        context_mask: `(b, s)`, the same of `context`.
        attention_mask: `(b, t, s)` or `(b, n, t, s)`, true for what a query may see, in addition.
        return_scores: Whether the attention weights `(b, n, t, s)` are returned too.

    Input shape:
        `(b, t, d)`, and `(b, s, e)` if there is a context; `t` and `s` may be unknown.

    Output shape:
        `(b, t, d)`. Padding is not seen by anyone, and the mask of `inputs` is passed on.

    Raises:
        ValueError: If an argument is out of its range; heads do not divide what they have to; an input has no three
            axes; or `causal`, `window` or `rotary` meets a context, to which positions do not carry over.

    Example:
        >>> import numpy as np
        >>> import keras_nnx as nnx
        >>> attention = nnx.layers.MultiHeadAttention(4, num_key_value_heads=2, causal=True)
        >>> attention(np.ones((1, 5, 16), "float32")).shape
        TensorShape([1, 5, 16])

    Source:
        Vaswani et al., "Attention Is All You Need" (2017), section 3.2.2; Ainslie et al., "GQA: Training Generalized
        Multi-Query Transformer Models from Multi-Head Checkpoints" (2023); Beltagy et al., "Longformer" (2020), section
        3.1; Henry et al., "Query-Key Normalization for Transformers" (2020), with a learned root mean square.
    """

    def __init__(
        self,
        num_heads: int,
        head_dim: int | None = None,
        num_key_value_heads: int | None = None,
        causal: bool = False,
        window: int | None = None,
        rotary: dict[str, Any] | None = None,
        query_key_norm: bool = False,
        use_bias: bool = True,
        chunk_size: int | None = None,
        dropout: float = 0.0,
        seed: int | None = None,
        lora_rank: int | None = None,
        lora_alpha: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.num_heads = _checks.positive_integer(_OWNER, "num_heads", num_heads)
        self.head_dim = _checks.optional_positive_integer(_OWNER, "head_dim", head_dim)
        self.num_key_value_heads = _checks.optional_positive_integer(_OWNER, "num_key_value_heads", num_key_value_heads)
        if self.num_heads % (self.num_key_value_heads or 1):
            raise ValueError(
                f"MultiHeadAttention(num_key_value_heads={num_key_value_heads}) cannot serve {num_heads} heads evenly: "
                f"choose a number that divides {num_heads}."
            )
        self.causal, self.query_key_norm, self.use_bias = causal, query_key_norm, use_bias
        self.window = _checks.optional_positive_integer(_OWNER, "window", window)
        if rotary is not None and not isinstance(rotary, dict):
            raise ValueError(
                f"MultiHeadAttention(rotary={rotary!r}) takes the options of a rotation, {{}} for its defaults."
            )
        self.rotary = None if rotary is None else dict(rotary)
        self._rotation()
        self.dropout = _checks.probability(_OWNER, "dropout", dropout)
        self.seed = seed
        self.lora_rank = _checks.optional_positive_integer(_OWNER, "lora_rank", lora_rank)
        self.lora_alpha = lora_alpha
        self.chunk_size = _checks.optional_positive_integer(_OWNER, "chunk_size", chunk_size)
        if self.chunk_size and self.dropout:
            raise ValueError(
                f"MultiHeadAttention(chunk_size={chunk_size}, dropout={dropout}) would have to keep which weights were "
                f"dropped, which takes the memory that chunks save: drop hidden values elsewhere, or leave one out."
            )

    def build(self, inputs_shape: tuple, context_shape: tuple | None = None) -> None:
        _checks.rank(_OWNER, inputs_shape, "b t d")
        dim = _checks.last_axis(_OWNER, inputs_shape)
        if self.head_dim is None and dim % self.num_heads:
            raise ValueError(
                f"MultiHeadAttention(num_heads={self.num_heads}) cannot split tokens of size {dim} evenly: choose a "
                f"number of heads that divides {dim}, or give head_dim."
            )
        if context_shape is not None:
            _checks.rank(_OWNER, context_shape, "b s e")
            _checks.last_axis(_OWNER, context_shape)
        size = self.head_dim or dim // self.num_heads
        groups = self.num_key_value_heads or self.num_heads
        common = {"use_bias": self.use_bias, "dtype": self.dtype_policy}
        self.query = projection(self.lora_rank, self.num_heads * size, name="query", **common)
        self.key = projection(self.lora_rank, groups * size, name="key", **common)
        self.value = projection(self.lora_rank, groups * size, name="value", **common)
        self.output_projection = projection(self.lora_rank, dim, name="output", **common)
        self.query.build(inputs_shape)
        self.key.build(context_shape or inputs_shape)
        self.value.build(context_shape or inputs_shape)
        self.output_projection.build((*inputs_shape[:-1], self.num_heads * size))
        self._build_options(inputs_shape, size)
        if self.lora_rank is not None:
            self._add_low_ranks()

    def _build_options(self, inputs_shape: tuple, size: int) -> None:
        heads = (*inputs_shape[:-1], self.num_heads, size)
        if self.query_key_norm:
            self.query_norm = keras.layers.RMSNormalization(name="query_norm", dtype=self.dtype_policy)
            self.key_norm = keras.layers.RMSNormalization(name="key_norm", dtype=self.dtype_policy)
            self.query_norm.build(heads)
            self.key_norm.build(heads)
        if self.rotary is not None:
            self.rotation = self._rotation()
            self.rotation.build(heads)
        if self.dropout:
            self.drop = keras.layers.Dropout(self.dropout, seed=self.seed, name="drop", dtype=self.dtype_policy)
            self.drop.build(None)

    def call(
        self,
        inputs: Any,
        context: Any = None,
        mask: Any = None,
        inputs_mask: Any = None,
        context_mask: Any = None,
        attention_mask: Any = None,
        return_scores: bool = False,
        training: bool | None = None,
    ) -> Any:  # b t d -> b t d
        own_mask = inputs_mask if mask is None else mask
        self._check_context(context)
        source = inputs if context is None else context
        query = self._heads(self.query(inputs), self.num_heads)  # b t n d
        key, value = (self._heads(project(source), self._groups) for project in (self.key, self.value))
        if self.query_key_norm:
            query, key = self.query_norm(query), self.key_norm(key)
        if self.rotary is not None:
            query, key = self.rotation(query), self.rotation(key)
        query, key = turned(query), turned(key)  # b n t d
        padding = own_mask if context is None else context_mask
        near: dict[str, Any] = {"causal": self.causal, "window": self.window}
        if self.chunk_size is None:
            visible = visible_positions(
                ops.shape(inputs)[1], ops.shape(source)[1], **near, padding=padding, given=attention_mask
            )
            drop = (lambda weights: self.drop(weights, training=training)) if self.dropout else None
            outputs, scores = attend(query, key, value, visible, drop)
        else:
            self._check_chunks(attention_mask, return_scores)
            batch, heads, length, size = ops.shape(query)
            query = ops.reshape(query, (batch, self._groups, heads // self._groups, length, size))
            outputs = attend_in_chunks(query, key, turned(value), padding, chunk=self.chunk_size, **near)
            outputs = turned(ops.reshape(outputs, (batch, heads, length, size)))
        outputs = ops.reshape(outputs, (*_outer(inputs), self.num_heads * outputs.shape[-1]))
        outputs = self.output_projection(outputs)
        return (outputs, scores) if return_scores else outputs

    def enable_lora(self, rank: int, lora_alpha: float | None = None) -> None:
        """Train low-rank additions to the four projections from now on, in place of their kernels.

        Biases stay as they are: freeze them if they are not to train. Compile the model again afterwards. In a saved
        model the additions are added to the kernels, as Keras does it: what is loaded answers the same, and goes on
        with additions of zero.

        Args:
            rank: The rank of an addition, at least 1.
            lora_alpha: The additions are multiplied by this over `rank`. Default: `rank`.

        Raises:
            ValueError: If the layer is not built, already has additions, or `rank` is out of range.

        Source:
            Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models" (2022), section 4.1.
        """
        _checks.positive_integer(f"{_OWNER}.enable_lora", "rank", rank)
        if not self.built:
            raise ValueError(
                "MultiHeadAttention.enable_lora found no projections to add to: build the layer first, or call it once."
            )
        if self.lora_rank is not None:
            raise ValueError("MultiHeadAttention.enable_lora was called before: that can be done once.")
        self.lora_rank, self.lora_alpha = rank, lora_alpha
        self._add_low_ranks()

    def _add_low_ranks(self) -> None:
        for layer in (self.query, self.key, self.value, self.output_projection):
            layer.enable_lora(self.lora_rank, lora_alpha=self.lora_alpha)

    def compute_output_shape(self, inputs_shape: tuple, context_shape: tuple | None = None) -> tuple:
        return inputs_shape

    def get_config(self) -> dict[str, Any]:
        names = (
            "num_heads",
            "head_dim",
            "num_key_value_heads",
            "causal",
            "window",
            "query_key_norm",
            "use_bias",
            "chunk_size",
            "lora_rank",
            "lora_alpha",
        )
        return {
            **super().get_config(),
            **{name: getattr(self, name) for name in names},
            "rotary": self.rotary,
            "dropout": self.dropout,
            "seed": self.seed,
        }

    @property
    def _groups(self) -> int:
        return self.num_key_value_heads or self.num_heads

    def _rotation(self) -> Any:
        try:
            options = None if self.rotary is None else {**self.rotary, "dtype": self.dtype_policy, "name": "rotation"}
            return None if options is None else RotaryEmbedding(**options)
        except TypeError as error:
            raise ValueError(
                f"MultiHeadAttention(rotary={self.rotary!r}) has an option that RotaryEmbedding does not know: {error}."
            ) from error

    def _heads(self, x: Any, count: int) -> Any:  # b t n*d -> b t n d
        return ops.reshape(x, (*_outer(x), count, x.shape[-1] // count))

    def _check_chunks(self, attention_mask: Any, return_scores: bool) -> None:
        if attention_mask is not None or return_scores:
            what = "takes an attention_mask" if attention_mask is not None else "returns scores"
            raise ValueError(
                f"MultiHeadAttention(chunk_size={self.chunk_size}) never holds all weights at once, and so {what} only "
                f"without chunk_size."
            )

    def _check_context(self, context: Any) -> None:
        given = [name for name in ("causal", "window", "rotary") if getattr(self, name) not in (None, False)]
        if context is not None and given:
            raise ValueError(
                f"MultiHeadAttention({given[0]}={getattr(self, given[0])!r}) knows the positions of one sequence, but "
                f"received a context, which has its own: leave {given[0]} out for cross-attention."
            )


def _outer(x: Any) -> tuple[Any, Any]:
    """Return the sizes `b t` to reshape to; where the length is known, no file has to work them out."""
    return (ops.shape(x)[0], ops.shape(x)[1]) if x.shape[1] is None else (-1, x.shape[1])
