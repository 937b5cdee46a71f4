"""Statistics over all positions of an image or a sequence, without the padding."""

from __future__ import annotations

from typing import Any

from keras import ops


def mean_over_space(x: Any, mask: Any = None) -> Any:
    """Return the mean over the axes between the first and the last, which stay with size 1; padding does not count."""
    axes = tuple(range(1, len(x.shape) - 1))
    if mask is None:
        return ops.mean(x, axis=axes, keepdims=True)
    valid = ops.cast(ops.expand_dims(mask, -1), x.dtype)  # b t 1
    return ops.sum(x * valid, axis=axes, keepdims=True) / ops.maximum(ops.sum(valid, axis=axes, keepdims=True), 1)


def maximum_over_space(x: Any) -> Any:
    """Return the largest value over the axes between the first and the last, which stay with size 1."""
    return ops.max(x, axis=tuple(range(1, len(x.shape) - 1)), keepdims=True)
