"""Decompositions of long sums: LiteRT adds one number after the other, which loses digits."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from keras_nnx.export.lowering.graphs import axis_size
from keras_nnx.export.lowering.operators import register_decomposition

LONG = 1024
_LEAST = 16
"""A part that is shorter is not worth an operator."""


@register_decomposition("Mean", targets=("tflite",))
def mean(operation: tf.Operation, x: tf.Tensor, axes: tf.Tensor) -> list[tf.Tensor]:
    """Average along one axis after the other, where many numbers are averaged."""
    return _in_parts(operation, x, axes, tf.reduce_mean)


@register_decomposition("Sum", targets=("tflite",))
def total(operation: tf.Operation, x: tf.Tensor, axes: tf.Tensor) -> list[tf.Tensor]:
    """Add up along one axis after the other, where many numbers are added."""
    return _in_parts(operation, x, axes, tf.reduce_sum)


def _in_parts(
    operation: tf.Operation, x: tf.Tensor, axes: tf.Tensor, reduce: Callable[..., tf.Tensor]
) -> list[tf.Tensor]:
    known = tf.get_static_value(axes)
    if known is None or not x.dtype.is_floating or x.shape.rank is None:
        return NotImplemented
    places = sorted({int(axis) % x.shape.rank for axis in known.reshape(-1)})
    sizes = [x.shape[place] for place in places]
    count = 1
    for size in sizes:
        count *= size or 0
    if not places or 0 < count < LONG or (len(places) == 1 and (None in sizes or places[0] == x.shape.rank - 1)):
        return NotImplemented
    if len(places) > 1:
        for place in reversed(places):
            x = reduce(x, axis=place, keepdims=True)
    else:
        part = next((size for size in range(int(count**0.5), _LEAST - 1, -1) if count % size == 0), None)
        if part is None:
            return NotImplemented
        (place,) = places
        before, after = ([axis_size(x, axis) for axis in r] for r in (range(place), range(place + 1, x.shape.rank)))
        x = tf.reshape(x, tf.stack([*before, count // part, part, *after]))
        x = reduce(reduce(x, axis=place + 1), axis=place, keepdims=True)
    return [x if operation.get_attr("keep_dims") else tf.squeeze(x, places)]
