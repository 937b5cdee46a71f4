"""Attention a few queries at a time, so that memory grows with the length and not with its square."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from keras_nnx.layers._attention import shares
from keras_nnx.layers._visibility import near

_MASKED = -1e30


def attend_in_chunks(
    query: Any,
    key: Any,
    value: Any,
    padding: Any = None,
    *,
    chunk: int,
    causal: bool = False,
    window: int | None = None,
) -> Any:
    """Return what each query sees, as `attend` does, with `chunk` queries at a time.

    The weights of one chunk are all that is kept; the gradient computes them anew. The gradient of the gradient is not
    defined.

    Args:
        query: `(b, m, g, t, d)`, where the `g` heads of a group share one head of keys.
        key: `(b, m, s, d)`.
        value: `(b, m, s, e)`.
        padding: `(b, s)`, false for keys that nobody sees.
        chunk: How many queries at a time.
        causal: As in `visible_positions`.
        window: As in `visible_positions`.

    Returns:
        `(b, m, g, t, e)`.

    Source:
        Rabe and Staats, "Self-attention Does Not Need O(n^2) Memory" (2021); the gradient after Dao et al.,
        "FlashAttention" (2022), appendix B.4.
    """
    if padding is None:
        padding = ops.ones((ops.shape(key)[0], ops.shape(key)[2]), key.dtype)
    padding = ops.cast(padding, key.dtype)
    length = ops.shape(query)[3]
    short = -length % chunk if isinstance(length, int) else ops.mod(-length, chunk)
    query = ops.pad(query, ((0, 0), (0, 0), (0, 0), (0, short), (0, 0)))
    chunks = (length + short) // chunk

    def weights_of(query: Any, key: Any, padding: Any, start: Any) -> tuple[Any, Any, Any]:
        """Return the queries of the chunk at `start`, scaled, their weights `b m g chunk s`, and what they see."""
        batch, heads, group, _, dim = ops.shape(query)
        part = ops.slice(query, (0, 0, 0, start, 0), (batch, heads, group, chunk, dim)) * (1 / math.sqrt(dim))
        scores = ops.cast(ops.matmul(part, ops.expand_dims(_turned(key), 2)), _wide(key))
        visible = ops.cast(padding, "bool")[:, None, None, None, :]
        if causal or window is not None:
            positions = ops.arange(0, chunk) + start
            visible = ops.logical_and(visible, near(positions, ops.arange(0, ops.shape(key)[2]), causal, window))
        scores = ops.where(visible, scores, ops.cast(_MASKED, scores.dtype))
        return part, shares(scores), visible

    @ops.custom_gradient
    def attend_all(query: Any, key: Any, value: Any, padding: Any) -> Any:
        def forward(index: Any, outputs: Any) -> tuple[Any, Any]:
            _, weights, _ = weights_of(query, key, padding, index * chunk)
            part = ops.matmul(ops.cast(weights, value.dtype), ops.expand_dims(value, 2))
            outputs = ops.slice_update(outputs, (0, 0, 0, index * chunk, 0), part)
            return _after(index, part), outputs

        outputs = ops.zeros((*ops.shape(query)[:4], ops.shape(value)[3]), value.dtype)
        _, outputs = ops.while_loop(
            lambda index, _: index < chunks, forward, (ops.convert_to_tensor(0, "int32"), outputs)
        )

        def gradient(*arguments: Any, upstream: Any = None) -> tuple[Any, Any, Any, Any]:
            arrived = arguments[0] if upstream is None else upstream
            return (
                *_gradients(query, key, value, padding, arrived, weights_of, chunk, chunks),
                ops.zeros_like(padding),
            )

        return outputs, gradient

    return attend_all(query, key, value, padding)[:, :, :, :length]


def _gradients(
    query: Any, key: Any, value: Any, padding: Any, arrived: Any, weights_of: Any, chunk: int, chunks: Any
) -> tuple[Any, Any, Any]:
    """Return the gradients of queries, keys and values, chunk by chunk."""
    scale = 1 / math.sqrt(query.shape[-1])

    def backward(index: Any, for_query: Any, for_key: Any, for_value: Any) -> tuple[Any, ...]:
        start = index * chunk
        part, weights, visible = weights_of(query, key, padding, start)
        wanted = ops.slice(arrived, (0, 0, 0, start, 0), (*ops.shape(part)[:4], ops.shape(value)[3]))
        wanted, turned = ops.cast(wanted, weights.dtype), ops.cast(_turned(value), weights.dtype)
        of_weights = ops.matmul(wanted, ops.expand_dims(turned, 2))
        of_scores = weights * (of_weights - ops.sum(of_weights * weights, axis=-1, keepdims=True))
        of_scores = ops.where(visible, of_scores, ops.zeros_like(of_scores))  # what is hidden has no say in its score
        part, wide_key = ops.cast(part, weights.dtype), ops.expand_dims(ops.cast(key, weights.dtype), 2)
        of_query = ops.cast(ops.matmul(of_scores, wide_key) * scale, query.dtype)
        for_key = for_key + ops.sum(ops.matmul(_turned(of_scores), part), axis=2)
        for_value = for_value + ops.sum(ops.matmul(_turned(weights), wanted), axis=2)
        for_query = ops.slice_update(for_query, (0, 0, 0, start, 0), of_query)
        return _after(index, of_query), for_query, for_key, for_value

    start = (
        ops.convert_to_tensor(0, "int32"),
        ops.zeros_like(query),
        ops.zeros(ops.shape(key), _wide(key)),
        ops.zeros(ops.shape(value), _wide(value)),
    )
    _, for_query, for_key, for_value = ops.while_loop(lambda index, *_: index < chunks, backward, start)
    return for_query, ops.cast(for_key, key.dtype), ops.cast(for_value, value.dtype)


def _after(index: Any, done: Any) -> Any:
    """Return the next index, which is known only when `done` is: chunks that run at once would all take memory."""
    nothing = ops.cast(ops.any(ops.abs(done[:1, :1, :1, :1, :1]) < 0), "int32")
    return index + 1 + nothing


def _turned(x: Any) -> Any:
    axes = list(range(len(x.shape)))
    return ops.transpose(x, (*axes[:-2], axes[-1], axes[-2]))


def _wide(x: Any) -> str:
    dtype = keras.backend.standardize_dtype(x.dtype)
    return "float32" if dtype in ("float16", "bfloat16") else dtype
