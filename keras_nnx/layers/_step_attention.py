"""Attention over the steps of a sequence: scores become weights, and weights gather."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_nnx.layers._attention import shares

_MASKED = -1e30
"""The score of padding: no infinity, so that a row of nothing but padding has a softmax too."""


def without_padding(inputs: Any, mask: Any) -> Any:  # b t d
    """Return `inputs` with zeros for padding: chosen and not multiplied, so that no NaN in it gets through."""
    return inputs if mask is None else ops.where(ops.expand_dims(mask, -1), inputs, ops.zeros_like(inputs))


def gather(scores: Any, values: Any, mask: Any) -> Any:  # b q t, b t d, b t -> b q d
    """Return the average of `values` for each query, by the softmax of its scores over what is no padding.

    Where all is padding the answer is zero. `values` have zeros for padding.
    """
    if keras.backend.standardize_dtype(scores.dtype) in ("float16", "bfloat16"):
        scores = ops.cast(scores, "float32")
    if mask is None:
        return ops.matmul(ops.cast(shares(scores), values.dtype), values)
    visible = ops.expand_dims(mask, 1)
    weights = shares(ops.where(visible, scores, ops.cast(_MASKED, scores.dtype)))
    return ops.matmul(ops.cast(ops.where(visible, weights, ops.zeros_like(weights)), values.dtype), values)


def check_query(owner: str, built_for: int | None, query: Any) -> None:
    """Raise unless `query` is what the layer was built for: of that size, or None if it learned its own."""
    if query is None and built_for is not None:
        raise ValueError(
            f"{owner} was built for a query of size {built_for}, but received none: pass one at every call, or build "
            f"another layer without."
        )
    if query is None:
        return
    shape = tuple(query.shape)
    if built_for is None:
        raise ValueError(
            f"{owner} was built with a query of its own, but received one of shape {shape}: pass a query at the first "
            f"call too, or leave it out."
        )
    if len(shape) != 2 or shape[-1] != built_for:
        raise ValueError(
            f"{owner} was built for a query of shape (b, {built_for}), but received one of shape {shape}: pass one of "
            f"that size, or build another layer for it."
        )


def query_size(owner: str, query_shape: tuple | None) -> int | None:
    """Return the size of a query of `query_shape`; there may be none."""
    if query_shape is None:
        return None
    if len(query_shape) != 2 or query_shape[-1] is None:
        raise ValueError(
            f"{owner} expects a query of shape (b e) with a known size, but received {tuple(query_shape)}."
        )
    return query_shape[-1]
