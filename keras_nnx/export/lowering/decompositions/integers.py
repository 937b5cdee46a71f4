"""Decompositions of what ONNX computes differently on negative integers."""

from __future__ import annotations

import tensorflow as tf

from keras_nnx.export.lowering.operators import register_decomposition


@register_decomposition("OneHot", targets=("onnx",))
def one_hot(operation: tf.Operation, indices: tf.Tensor, depth: tf.Tensor, on: tf.Tensor, off: tf.Tensor) -> list:
    """Compare the indices with 0, 1, ...: ONNX counts a negative index from the end, TensorFlow gives no one."""
    axis = operation.get_attr("axis")
    places = tf.range(tf.cast(depth, indices.dtype))
    rank = indices.shape.rank
    if rank is None:
        return NotImplemented
    position = rank if axis == -1 else axis
    shape = [1] * (rank + 1)
    shape[position] = -1
    chosen = tf.equal(tf.expand_dims(indices, position), tf.reshape(places, shape))
    return [tf.where(chosen, on, off)]


@register_decomposition("FloorDiv", targets=("onnx",))
def floor_divide(operation: tf.Operation, x: tf.Tensor, y: tf.Tensor) -> list:
    """Round the quotient of integers down: ONNX cuts it off towards zero."""
    if not x.dtype.is_integer:
        return NotImplemented
    quotient = tf.raw_ops.Div(x=x, y=y)
    return [quotient - tf.cast(_cut_up(x, y, x - quotient * y), x.dtype)]


@register_decomposition("FloorMod", targets=("onnx",))
def floor_modulo(operation: tf.Operation, x: tf.Tensor, y: tf.Tensor) -> list:
    """Give the remainder of integers the sign of the divisor: what tf2onnx writes has that of the dividend."""
    if not x.dtype.is_integer:
        return NotImplemented
    remainder = x - tf.raw_ops.Div(x=x, y=y) * y
    return [remainder + y * tf.cast(_cut_up(x, y, remainder), x.dtype)]


def _cut_up(x: tf.Tensor, y: tf.Tensor, remainder: tf.Tensor) -> tf.Tensor:
    """Whether cutting off rounded up: the signs differ and something was left over."""
    zero = tf.constant(0, x.dtype)
    return tf.logical_and(tf.not_equal(remainder, zero), tf.not_equal(tf.less(x, zero), tf.less(y, zero)))
