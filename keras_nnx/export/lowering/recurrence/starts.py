"""First states: that they fit, and that they have a row for each sample."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from keras_nnx.export.lowering.graphs import axis_size
from keras_nnx.export.lowering.recurrence.plans import Plan


def checked_starts(
    plan: Plan, layer: str, units: int, states: Sequence[tf.Tensor], batch: tf.Tensor
) -> list[tf.Tensor]:
    """Return the first states of a cell, b u each; one row stands for all samples.

    Raises:
        UnsupportedModelError: If a state has another width or rank, naming the layer.
    """
    result = []
    for state in states:
        if state.shape.rank != 2 or state.shape[1] not in (None, units):
            raise plan.refuse(
                f"The layer {layer!r} is given an initial state of shape {tuple(state.shape)}, but its states have the "
                f"shape (batch, {units}): pass initial_state with one such tensor for each state."
            )
        alone = state.shape[0] == 1 and batch.shape[0] != 1
        start = tf.broadcast_to(state, [axis_size(batch, 0), units]) if alone else tf.identity(state)
        start.set_shape([batch.shape[0], units])
        result.append(start)
    return result
