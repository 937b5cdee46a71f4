"""Scaled dot-product attention on heads that are split already."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

_MASKED = -1e30
"""The score of what is not to be seen: no infinity, so that a row without anything to see has an answer; so large that
a score added to it is lost, so that replacing and adding say the same and an exported file may do either."""


def attend(
    query: Any, key: Any, value: Any, visible: Any = None, drop: Callable[[Any], Any] | None = None
) -> tuple[Any, Any]:
    """Return what each query sees, and the weights with which it does.

    Args:
        query: `(b, n, t, d)`.
        key: `(b, m, s, d)`, where `m` divides `n`: as many queries share a head of keys.
        value: `(b, s, m, e)`.
        visible: What each query may see, of a shape that goes with `(b, n, t, s)`; None for everything.
        drop: Applied to the weights before they are used.

    Returns:
        `(b, t, n, e)`, and the weights `(b, n, t, s)` before `drop`.

    Source:
        Vaswani et al., "Attention Is All You Need" (2017), equation 1; Ainslie et al., "GQA" (2023).
    """
    heads, groups = query.shape[1], key.shape[1]
    query = query * (1 / math.sqrt(query.shape[-1]))
    if heads == groups:
        scores = ops.matmul(query, ops.transpose(key, (0, 1, 3, 2)))
    else:
        together = _group(query, groups)  # b m n/m*t d
        scores = _ungroup(ops.matmul(together, ops.transpose(key, (0, 1, 3, 2))), heads, ops.shape(query)[2])
    weights = shares(_hidden(scores, visible))
    used = ops.cast(weights, value.dtype)
    used = used if drop is None else drop(used)
    if heads == groups:
        # In this order Keras hands the equation on as it is, and XLA forms its gradient without turning the weights.
        return ops.einsum("bsne,bnts->btne", value, used), weights
    outputs = _ungroup(ops.matmul(_group(used, groups), turned(value)), heads, ops.shape(query)[2])
    return turned(outputs), weights


def shares(scores: Any) -> Any:
    """Return the softmax over the last axis; of one score it is 1, about which Keras would warn."""
    return ops.ones_like(scores) if scores.shape[-1] == 1 else ops.softmax(scores, axis=-1)


def _hidden(scores: Any, visible: Any) -> Any:
    """Return the scores, in float32 at least, with those of what is not visible far under the others."""
    if keras.backend.standardize_dtype(scores.dtype) in ("float16", "bfloat16"):
        scores = ops.cast(scores, "float32")
    return scores if visible is None else ops.where(visible, scores, ops.cast(_MASKED, scores.dtype))


def turned(x: Any) -> Any:  # b t n d -> b n t d
    """Return `x` with the heads before the tokens, or the other way around."""
    return ops.transpose(x, (0, 2, 1, 3))


def _group(x: Any, groups: int) -> Any:  # b n t d -> b m n/m*t d
    batch, heads, length, dim = ops.shape(x)
    del heads
    return ops.reshape(x, (batch, groups, (x.shape[1] // groups) * length, dim))


def _ungroup(x: Any, heads: int, length: Any) -> Any:  # b m n/m*t d -> b n t d
    return ops.reshape(x, (ops.shape(x)[0], heads, length, ops.shape(x)[-1]))
