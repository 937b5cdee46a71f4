"""A sequence gathered by scores of a small network."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_nnx import _checks
from keras_nnx._registration import register
from keras_nnx.layers._step_attention import check_query, gather, query_size, without_padding

_OWNER = "AdditiveAttentionPooling"


@register
class AdditiveAttentionPooling(keras.layers.Layer):
    """Gathers a sequence into one vector, by scores of a network with one hidden layer.

    A step's score is `score . tanh(step @ kernel + query @ query_kernel + bias)`; the vector is the average of the
    steps by the softmax of their scores. Without a query at the call one is learned, and stands in the place of
    `query @ query_kernel + bias`. Use it behind recurrent layers, where the last step forgets the first ones.
    `keras.layers.AdditiveAttention` has no projections, and answers NaN where padding is NaN.

    Args:
        units: Width of the hidden layer.
        **kwargs: `name`, `dtype` and the like, as in `keras.layers.Layer`.

    Call arguments:
        inputs: `(b, t, d)`, the steps.
        query: `(b, e)`, what to look for; a layer gets one at every call or at none.
        mask, inputs_mask: `(b, t)`, true for what is no padding.

    Input shape:
        `(b, t, d)`, and `(b, e)` if there is a query; `t` may be unknown.

    Output shape:
        `(b, d)`. A mask `(b, t)` keeps padding out, whatever it holds, and ends here. A sequence of nothing but padding
        gives zeros.

    Raises:
        ValueError: If `units` is out of its range, `d` is unknown, or the query is not what the layer was built for.

    Example:
        >>> import numpy as np
        >>> import keras_nnx as nnx
        >>> nnx.layers.AdditiveAttentionPooling(16)(np.ones((3, 5, 8), "float32")).shape
        TensorShape([3, 8])

    Source:
        Bahdanau et al., "Neural Machine Translation by Jointly Learning to Align and Translate" (2015), section 3.1 and
        A.1.2; Yang et al., "Hierarchical Attention Networks for Document Classification" (2016), equations 5 to 7, for
        the learned query.
    """

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.units = _checks.positive_integer(_OWNER, "units", units)

    def build(self, inputs_shape: tuple, query_shape: tuple | None = None) -> None:
        _checks.rank(_OWNER, inputs_shape, "b t d")
        dim = _checks.last_axis(_OWNER, inputs_shape)
        self._query_size = query_size(_OWNER, query_shape)
        self.kernel = self.add_weight(name="kernel", shape=(dim, self.units))
        if self._query_size is None:
            start = keras.initializers.RandomNormal(stddev=0.02)
            self.query = self.add_weight(name="query", shape=(self.units,), initializer=start)
        else:
            self.query_kernel = self.add_weight(name="query_kernel", shape=(self._query_size, self.units))
            self.bias = self.add_weight(name="bias", shape=(self.units,), initializer="zeros")
        self.score = self.add_weight(name="score", shape=(self.units, 1))

    def call(self, inputs: Any, query: Any = None, mask: Any = None, inputs_mask: Any = None) -> Any:  # b t d -> b d
        check_query(_OWNER, self._query_size, query)
        mask = inputs_mask if mask is None else mask
        inputs = without_padding(ops.cast(inputs, self.compute_dtype), mask)
        hidden = ops.matmul(inputs, self.kernel) + self._wanted(query)  # b t units
        scores = ops.matmul(ops.tanh(hidden), self.score)  # b t 1
        return gather(ops.transpose(scores, (0, 2, 1)), inputs, mask)[:, 0]

    def compute_mask(self, *inputs: Any, **masks: Any) -> None:
        return None

    def compute_output_shape(self, inputs_shape: tuple, query_shape: tuple | None = None) -> tuple:
        return inputs_shape[0], inputs_shape[2]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}

    def _wanted(self, query: Any) -> Any:
        """Return what the query adds to every step, `(units,)` or `(b, 1, units)`."""
        if query is None:
            return ops.cast(self.query, self.compute_dtype)
        projected = ops.matmul(ops.cast(query, self.compute_dtype), self.query_kernel)
        return ops.expand_dims(projected + self.bias, 1)
