"""Decompositions of reductions over segments, whose numbers may be in any order: tf2onnx leaves some of them out."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from keras_nnx.export.lowering.operators import register_decomposition


@register_decomposition("ScatterNd", targets=("onnx",))
def scatter(operation: tf.Operation, indices: tf.Tensor, updates: tf.Tensor, shape: tf.Tensor) -> list[tf.Tensor]:
    """Add up what goes to one place; tf2onnx keeps the last of it."""
    if updates.dtype == tf.bool:
        return [scatter(operation, indices, tf.cast(updates, tf.int32), shape)[0] > 0]
    return [tf.tensor_scatter_nd_add(tf.zeros(shape, updates.dtype), indices, updates)]


@register_decomposition("UnsortedSegmentSum", targets=("onnx",))
def segment_sum(operation: tf.Operation, data: tf.Tensor, segments: tf.Tensor, count: tf.Tensor) -> list[tf.Tensor]:
    """Add up what is in each segment; nothing is 0."""
    rank = segments.shape.rank
    if rank is None or data.shape.rank is None:
        return NotImplemented
    rest = tf.shape(data)[rank:]
    rows = tf.reshape(data, tf.concat([[-1], rest], 0)) if rank != 1 else data
    # What belongs to no segment goes into one more, which is cut off.
    flat, count = tf.reshape(segments, [-1]), tf.cast(tf.reshape(count, []), segments.dtype)
    places = tf.where(tf.logical_and(flat >= 0, flat < count), flat, count)
    empty = tf.zeros(tf.concat([[tf.cast(count, tf.int32) + 1], rest], 0), data.dtype)
    return [tf.tensor_scatter_nd_add(empty, places[:, None], rows)[:-1]]


@register_decomposition("UnsortedSegmentMax", targets=("onnx",))
def segment_max(operation: tf.Operation, data: tf.Tensor, segments: tf.Tensor, count: tf.Tensor) -> list[tf.Tensor]:
    """Take the largest of each segment; of nothing it is the least number."""
    return _reduced(data, segments, count, tf.constant(data.dtype.min, data.dtype), tf.reduce_max)


@register_decomposition("UnsortedSegmentMin", targets=("onnx",))
def segment_min(operation: tf.Operation, data: tf.Tensor, segments: tf.Tensor, count: tf.Tensor) -> list[tf.Tensor]:
    """Take the smallest of each segment; of nothing it is the largest number."""
    return _reduced(data, segments, count, tf.constant(data.dtype.max, data.dtype), tf.reduce_min)


@register_decomposition("UnsortedSegmentProd", targets=("onnx",))
def segment_prod(operation: tf.Operation, data: tf.Tensor, segments: tf.Tensor, count: tf.Tensor) -> list[tf.Tensor]:
    """Multiply what is in each segment; nothing is 1."""
    return _reduced(data, segments, count, tf.ones([], data.dtype), tf.reduce_prod)


def _reduced(
    data: tf.Tensor, segments: tf.Tensor, count: tf.Tensor, nothing: tf.Tensor, reduce: Callable[..., tf.Tensor]
) -> list[tf.Tensor]:
    if None in (segments.shape.rank, data.shape.rank):
        return NotImplemented
    rows, inside, rest = _rows(data, segments, count)
    inside = tf.reshape(inside, tf.concat([tf.shape(inside), tf.ones_like(rest)], 0))
    spread = tf.where(inside, tf.expand_dims(rows, 1), nothing)
    return [reduce(spread, axis=0)]


def _rows(data: tf.Tensor, segments: tf.Tensor, count: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Return the data with one axis of rows, which row is in which segment, and the sizes of the other axes."""
    rank = segments.shape.rank
    rest = tf.shape(data)[rank:]
    rows = tf.reshape(data, tf.concat([[-1], rest], 0)) if rank != 1 else data
    inside = tf.equal(tf.reshape(segments, [-1, 1]), tf.cast(tf.range(count), segments.dtype)[None])
    return rows, inside, rest
