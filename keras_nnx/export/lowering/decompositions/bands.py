"""Decompositions of what is done along diagonals."""

from __future__ import annotations

import tensorflow as tf

from keras_nnx.export.lowering.graphs import axis_size
from keras_nnx.export.lowering.operators import register_decomposition


@register_decomposition("MatrixBandPart", targets=("onnx",))
def matrix_band_part(operation: tf.Operation, matrix: tf.Tensor, lower: tf.Tensor, upper: tf.Tensor) -> list[tf.Tensor]:
    """Compare rows with columns; tf2onnx counts ones instead, in twenty nodes. A negative width means all."""
    shape = tf.shape(matrix)
    rows, columns = (tf.range(shape[axis] if matrix.shape[axis] is None else matrix.shape[axis]) for axis in (-2, -1))
    below = tf.expand_dims(rows, 1) - tf.expand_dims(columns, 0)
    inside = None
    for width, distance in ((lower, below), (upper, -below)):
        known = tf.get_static_value(width)
        if known is not None and known < 0:
            continue
        most = tf.cast(width, tf.int32)
        near = distance <= most if known is not None else (distance <= most) | (most < 0)
        inside = near if inside is None else inside & near
    if inside is None:
        return [tf.identity(matrix)]
    return [matrix & inside if matrix.dtype == tf.bool else tf.where(inside, matrix, tf.zeros([], matrix.dtype))]


@register_decomposition("MatrixDiagPartV3", targets=("tflite",))
def matrix_diag_part(operation: tf.Operation, matrix: tf.Tensor, which: tf.Tensor, _padding: tf.Tensor) -> list:
    """Pick every so many entries of the rows in a row; TFLite has no diagonals beside the main one of what it knows."""
    known = tf.get_static_value(which)
    if known is None or known.size != 1 or matrix.shape.rank is None:
        return NotImplemented
    return [diagonal(matrix, int(known.reshape(())))]


def diagonal(matrix: tf.Tensor, offset: int = 0) -> tf.Tensor:
    """Return the entries of the last two axes whose column is the row plus `offset`."""
    rank = matrix.shape.rank
    rows, columns = axis_size(matrix, rank - 2), axis_size(matrix, rank - 1)
    down, right = max(-offset, 0), max(offset, 0)
    count = tf.maximum(tf.minimum(rows - down, columns - right), 0)
    places = (tf.range(count) + down) * columns + tf.range(count) + right
    outer = [axis_size(matrix, axis) for axis in range(rank - 2)]
    return tf.gather(tf.reshape(matrix, tf.stack([*outer, rows * columns])), places, axis=rank - 2)
