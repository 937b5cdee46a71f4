"""Decompositions of what runs along an axis."""

from __future__ import annotations

import tensorflow as tf

from keras_nnx.export.lowering.decompositions.integer_reductions import LONGEST, multiplied
from keras_nnx.export.lowering.operators import register_decomposition


@register_decomposition("Cumprod", targets=("onnx", "tflite"))
def cumulative_product(operation: tf.Operation, x: tf.Tensor, axis: tf.Tensor) -> list[tf.Tensor]:
    """Multiply, for every position, the values that come before it."""
    before = _before(operation, x, axis)
    if before is None:
        return NotImplemented
    values, mask, place = before
    if x.dtype in (tf.int32, tf.int64) and 0 < (x.shape[place] or 0) <= LONGEST:
        return [_of_integers(operation, x, place)]
    return [tf.reduce_prod(tf.where(mask, values, tf.ones([], x.dtype)), axis=place + 1)]


def _of_integers(operation: tf.Operation, x: tf.Tensor, place: int) -> tf.Tensor:
    """Multiply one number after the other: ONNX Runtime reduces integers in floats."""
    if operation.get_attr("reverse"):
        x = tf.reverse(x, [place])
    factors = tf.split(x, x.shape[place], axis=place)
    if operation.get_attr("exclusive"):
        factors = [tf.ones_like(factors[0]), *factors[:-1]]
    result = tf.concat(multiplied(factors), place)
    return tf.reverse(result, [place]) if operation.get_attr("reverse") else result


@register_decomposition("CumulativeLogsumexp", targets=("onnx", "tflite"))
def cumulative_logsumexp(operation: tf.Operation, x: tf.Tensor, axis: tf.Tensor) -> list[tf.Tensor]:
    """Add up in the same way; where there is nothing before, it is minus infinity."""
    before = _before(operation, x, axis)
    if before is None:
        return NotImplemented
    values, mask, place = before
    masked = tf.where(mask, values, tf.constant(x.dtype.min, x.dtype))
    top = tf.reduce_max(masked, axis=place + 1, keepdims=True)
    total = tf.reduce_sum(tf.where(mask, tf.exp(masked - top), tf.zeros([], x.dtype)), axis=place + 1)
    return [tf.math.log(total) + tf.squeeze(top, place + 1)]


def _before(operation: tf.Operation, x: tf.Tensor, axis: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, int] | None:
    """Return `x` with its axis repeated behind it, a mask of what comes before each position, and the axis."""
    known = tf.get_static_value(axis)
    if known is None or x.shape.rank is None:
        return None
    place = int(known) % x.shape.rank
    count = tf.range(tf.shape(x)[place])
    here, there = tf.expand_dims(count, 1), tf.expand_dims(count, 0)
    if operation.get_attr("reverse"):
        here, there = -here, -there
    mask = there < here if operation.get_attr("exclusive") else there <= here
    mask = tf.reshape(mask, tf.concat([tf.shape(mask), tf.ones([x.shape.rank - place - 1], tf.int32)], 0))
    return tf.expand_dims(x, place), mask, place
