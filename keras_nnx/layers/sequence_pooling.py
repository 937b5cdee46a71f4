"""One vector for a sequence."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_nnx import _checks
from keras_nnx._registration import register

_KINDS = ("avg", "max", "first", "last")


@register
class SequencePooling(keras.layers.Layer):
    """Reduces a sequence to the average, the maximum, the first or the last of its steps that are not padding.

    `keras.layers.GlobalMaxPooling1D` takes padding for values, and a slice takes the padding at the end for the last
    step; this layer knows the mask.

    Args:
        kind: `"avg"`, `"max"`, `"first"` or `"last"`.
        **kwargs: `name`, `dtype` and the like, as in `keras.layers.Layer`.

    Input shape:
        `(b, t, d)`; `t` may be unknown.

    Output shape:
        `(b, d)`. A mask `(b, t)` is consumed. A sequence of nothing but padding gives zeros.

    Raises:
        ValueError: If `kind` is unknown or the input has no three axes.

    Example:
        >>> import numpy as np
        >>> import keras_nnx as nnx
        >>> nnx.layers.SequencePooling("last")(np.ones((2, 5, 8), "float32")).shape
        TensorShape([2, 8])

    Source:
        Boureau et al., "A Theoretical Analysis of Feature Pooling in Visual Recognition" (2010), for the average and
        the maximum.
    """

    def __init__(self, kind: str = "avg", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.kind = _checks.one_of("SequencePooling", "kind", kind, _KINDS)

    def build(self, input_shape: tuple) -> None:
        _checks.rank("SequencePooling", input_shape, "b t d")

    def call(self, inputs: Any, mask: Any = None) -> Any:  # b t d -> b d
        inputs = ops.cast(inputs, self.compute_dtype)
        if mask is None:
            reduced = {"avg": ops.mean, "max": ops.max}.get(self.kind)
            return reduced(inputs, axis=1) if reduced else inputs[:, 0 if self.kind == "first" else -1]
        valid = ops.expand_dims(ops.cast(mask, self.compute_dtype), -1)  # b t 1
        if self.kind == "avg":
            counts = ops.sum(ops.cast(mask, "int32"), axis=1, keepdims=True)
            share = ops.expand_dims(1 / ops.cast(ops.maximum(counts, 1), self.compute_dtype), -1)
            return ops.sum(inputs * valid * share, axis=1)  # divided first: a float16 sum would overflow
        if self.kind == "max":
            lowest = -65504.0 if self.compute_dtype == "float16" else -3e38
            return ops.max(ops.where(valid > 0, inputs, lowest), axis=1) * ops.max(valid, axis=1)
        return ops.sum(inputs * self._chosen(valid), axis=1)

    def compute_mask(self, inputs: Any, mask: Any = None) -> None:
        return None

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return input_shape[0], input_shape[2]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "kind": self.kind}

    def _chosen(self, valid: Any) -> Any:  # b t 1
        """Return one at the first or the last valid step, and zero elsewhere."""
        counts = ops.cast(valid, "int32")
        order = ops.cumsum(counts, axis=1)
        wanted = 1 if self.kind == "first" else ops.sum(counts, axis=1, keepdims=True)
        return ops.cast(order == wanted, self.compute_dtype) * valid
