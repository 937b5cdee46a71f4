"""Decompositions of what is done along diagonals."""

from __future__ import annotations

import tensorflow as tf

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
