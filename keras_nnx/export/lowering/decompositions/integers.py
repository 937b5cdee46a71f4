"""Decompositions of what ONNX computes differently on integers, and of remainders."""

from __future__ import annotations

from typing import Any

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


@register_decomposition("FloorDiv", targets=("tflite",))
def floor_divide_floats(operation: tf.Operation, x: tf.Tensor, y: tf.Tensor) -> list:
    """Round the quotient of floats down; by zero it is infinite, where LiteRT's own operator gives up."""
    return [tf.floor(x / y)] if x.dtype.is_floating else NotImplemented


@register_decomposition("ArgMax", targets=("onnx", "tflite"))
@register_decomposition("ArgMin", targets=("onnx", "tflite"))
def place_of_truth(operation: tf.Operation, x: tf.Tensor, axis: tf.Tensor) -> list:
    """Count with truth as 1: no target orders truth values."""
    if x.dtype != tf.bool:
        return NotImplemented
    find = getattr(tf.raw_ops, operation.type)
    return [find(input=tf.cast(x, tf.int32), dimension=axis, output_type=operation.get_attr("output_type"))]


@register_decomposition("FloorMod", targets=("onnx",))
def floor_modulo(operation: tf.Operation, x: tf.Tensor, y: tf.Tensor) -> list:
    """Give the remainder the sign of the divisor; tf2onnx rounds the quotient of floats before it multiplies."""
    remainder = x - tf.raw_ops.Div(x=x, y=y) * y if x.dtype.is_integer else tf.raw_ops.TruncateMod(x=x, y=y)
    return [tf.where(_cut_up(x, y, remainder), remainder + y, remainder)]


@register_decomposition("TopKV2", targets=("onnx",))
def largest(operation: tf.Operation, x: tf.Tensor, k: tf.Tensor) -> list:
    """Sort integers that the runtime does not sort as such that it does."""
    wide = _wide(x.dtype)
    if wide is None:
        return NotImplemented
    values, indices = tf.math.top_k(tf.cast(x, wide), k, index_type=operation.outputs[1].dtype)
    return [tf.cast(values, x.dtype), indices]


@register_decomposition("Greater", targets=("onnx",))
def greater(operation: tf.Operation, x: tf.Tensor, y: tf.Tensor) -> list:
    """Compare integers that the runtime does not compare as such that it does."""
    wide = _compared(x.dtype)
    return NotImplemented if wide is None else [tf.cast(x, wide) > tf.cast(y, wide)]


@register_decomposition("Less", targets=("onnx",))
def less(operation: tf.Operation, x: tf.Tensor, y: tf.Tensor) -> list:
    """Compare integers that the runtime does not compare as such that it does."""
    wide = _compared(x.dtype)
    return NotImplemented if wide is None else [tf.cast(x, wide) < tf.cast(y, wide)]


def _wide(dtype: tf.DType) -> tf.DType | None:
    """Return the integers that hold all of `dtype`, where ONNX Runtime has kernels for them and not for these."""
    if dtype in (tf.int8, tf.uint8, tf.int16, tf.uint16):
        return tf.int32
    return tf.int64 if dtype == tf.uint32 else None


def _compared(dtype: tf.DType) -> tf.DType | None:
    """Return the integers in which two are compared; tf2onnx makes 64 bits of the counter of a loop, unasked."""
    graph: Any = tf.compat.v1.get_default_graph()
    return tf.int64 if dtype == tf.int32 and graph.building_function else _wide(dtype)


def _cut_up(x: tf.Tensor, y: tf.Tensor, remainder: tf.Tensor) -> tf.Tensor:
    """Whether cutting off rounded up: the signs differ and something was left over."""
    zero = tf.constant(0, x.dtype)
    return tf.logical_and(tf.not_equal(remainder, zero), tf.not_equal(tf.less(x, zero), tf.less(y, zero)))
