"""A sequence gathered by products with a query."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_nnx import _checks
from keras_nnx._registration import register
from keras_nnx.layers._step_attention import check_query, gather, query_size, without_padding

_OWNER = "MultiplicativeAttentionPooling"


@register
class MultiplicativeAttentionPooling(keras.layers.Layer):
    """Gathers a sequence into one vector, by the products of its steps with a query.

    A step's score is `(query @ kernel) . step`, or `query . step` for `kind="dot"`; the vector is the average of the
    steps by the softmax of their scores. Without a query at the call, one of the size of a step is learned. It costs
    less than `AdditiveAttentionPooling`. `keras.layers.Attention` has no projection, and answers NaN where padding is
    NaN.

    Args:
        kind: `"general"` projects the query to the size of a step; `"dot"` takes it as it is.
        **kwargs: `name`, `dtype` and the like, as in `keras.layers.Layer`.

    Call arguments:
        inputs: `(b, t, d)`, the steps.
        query: `(b, e)`, what to look for, with `e` equal to `d` for `"dot"`; a layer gets one at every call or at none.
        mask, inputs_mask: `(b, t)`, true for what is no padding.

    Input shape:
        `(b, t, d)`, and `(b, e)` if there is a query; `t` may be unknown.

    Output shape:
        `(b, d)`. A mask `(b, t)` keeps padding out, whatever it holds, and ends here. A sequence of nothing but padding
        gives zeros.

    Raises:
        ValueError: If `kind` is unknown, `d` is unknown, or the query is not what the layer was built for.

    Example:
        >>> import numpy as np
        >>> import keras_nnx as nnx
        >>> nnx.layers.MultiplicativeAttentionPooling()(np.ones((3, 5, 8), "float32")).shape
        TensorShape([3, 8])

    Source:
        Luong et al., "Effective Approaches to Attention-based Neural Machine Translation" (2015), equation 8.
    """

    def __init__(self, kind: str = "general", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.kind = _checks.one_of(_OWNER, "kind", kind, ("general", "dot"))

    def build(self, inputs_shape: tuple, query_shape: tuple | None = None) -> None:
        _checks.rank(_OWNER, inputs_shape, "b t d")
        dim = _checks.last_axis(_OWNER, inputs_shape)
        self._query_size = query_size(_OWNER, query_shape)
        if self._query_size is None:
            start = keras.initializers.RandomNormal(stddev=0.02)
            self.query = self.add_weight(name="query", shape=(dim,), initializer=start)
        elif self.kind == "general":
            self.kernel = self.add_weight(name="kernel", shape=(self._query_size, dim))
        elif self._query_size != dim:
            raise ValueError(
                f"{_OWNER}(kind='dot') cannot multiply a query of size {self._query_size} by steps of size {dim}: use "
                f"kind='general', or a query of size {dim}."
            )

    def call(self, inputs: Any, query: Any = None, mask: Any = None, inputs_mask: Any = None) -> Any:  # b t d -> b d
        check_query(_OWNER, self._query_size, query)
        mask = inputs_mask if mask is None else mask
        inputs = without_padding(ops.cast(inputs, self.compute_dtype), mask)
        scores = ops.matmul(inputs, self._wanted(query))  # b t 1
        return gather(ops.transpose(scores, (0, 2, 1)), inputs, mask)[:, 0]

    def compute_mask(self, *inputs: Any, **masks: Any) -> None:
        return None

    def compute_output_shape(self, inputs_shape: tuple, query_shape: tuple | None = None) -> tuple:
        return inputs_shape[0], inputs_shape[2]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "kind": self.kind}

    def _wanted(self, query: Any) -> Any:
        """Return the query as steps are multiplied with it, `(d, 1)` or `(b, d, 1)`."""
        if query is None:
            return ops.expand_dims(ops.cast(self.query, self.compute_dtype), -1)
        query = ops.cast(query, self.compute_dtype)
        return ops.expand_dims(ops.matmul(query, self.kernel) if self.kind == "general" else query, -1)
