"""Decompositions of what sorts values into classes."""

from __future__ import annotations

import tensorflow as tf

from keras_nnx.export.lowering.graphs import Table
from keras_nnx.export.lowering.operators import register_decomposition


@register_decomposition("LookupTableFindV2", targets=("onnx", "tflite"))
def find(operation: tf.Operation, table: Table | None, keys: tf.Tensor, default: tf.Tensor) -> list[tf.Tensor]:
    """Compare each key with all that the table has."""
    if table is None or keys.dtype == tf.string or default.dtype == tf.string:
        return NotImplemented
    same = tf.equal(tf.expand_dims(keys, -1), tf.constant(table.keys))
    found = tf.reduce_sum(tf.where(same, tf.constant(table.values), tf.zeros([], default.dtype)), axis=-1)
    return [tf.where(tf.reduce_any(same, axis=-1), found, default)]


@register_decomposition("Bucketize", targets=("onnx",))
def bucketize(operation: tf.Operation, x: tf.Tensor) -> list[tf.Tensor]:
    """Count the boundaries that a value reaches."""
    boundaries = tf.constant(operation.get_attr("boundaries"), tf.float32)
    # What is not a number is in the last class.
    reached = tf.logical_not(tf.expand_dims(tf.cast(x, tf.float32), -1) < boundaries)
    return [tf.reduce_sum(tf.cast(reached, tf.int32), axis=-1)]


@register_decomposition("DenseBincount", targets=("onnx", "tflite"))
def bincount(operation: tf.Operation, x: tf.Tensor, size: tf.Tensor, weights: tf.Tensor) -> list[tf.Tensor]:
    """Compare each value with 0, 1, ... and count, or only tell, where it is the same."""
    if x.shape.rank is None:
        return NotImplemented
    same = tf.equal(tf.expand_dims(x, -1), tf.range(tf.cast(size, x.dtype)))
    axis = x.shape.rank - 1
    if operation.get_attr("binary_output"):
        return [tf.cast(tf.reduce_any(same, axis=axis), weights.dtype)]
    counted = tf.cast(same, weights.dtype)
    if weights.shape.num_elements() != 0:
        counted = counted * tf.expand_dims(weights, -1)
    return [tf.reduce_sum(counted, axis=axis)]


@register_decomposition("InTopKV2", targets=("onnx", "tflite"))
def in_top_k(operation: tf.Operation, predictions: tf.Tensor, targets: tf.Tensor, k: tf.Tensor) -> list[tf.Tensor]:
    """Count the classes above the target's: equal ones are in, and a class that does not exist is not."""
    classes = tf.shape(predictions, out_type=targets.dtype)[1]
    own = tf.equal(tf.range(classes), tf.expand_dims(targets, -1))
    value = tf.reduce_sum(tf.where(own, predictions, tf.zeros([], predictions.dtype)), axis=-1, keepdims=True)
    above = tf.reduce_sum(tf.cast(predictions > value, k.dtype), axis=-1)
    finite = tf.reduce_all(tf.math.is_finite(predictions), axis=-1)
    return [tf.reduce_any(own, axis=-1) & (above < k) & finite]


@register_decomposition("LowerBound", targets=("onnx", "tflite"))
def lower_bound(operation: tf.Operation, ordered: tf.Tensor, values: tf.Tensor) -> list[tf.Tensor]:
    """Count what is smaller."""
    return [_count(operation, ordered[:, None, :] < values[:, :, None])]


@register_decomposition("UpperBound", targets=("onnx", "tflite"))
def upper_bound(operation: tf.Operation, ordered: tf.Tensor, values: tf.Tensor) -> list[tf.Tensor]:
    """Count what is not larger."""
    return [_count(operation, ordered[:, None, :] <= values[:, :, None])]


def _count(operation: tf.Operation, condition: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(tf.cast(condition, operation.get_attr("out_type")), axis=-1)
