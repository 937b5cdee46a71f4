"""Reversals of reversals, which bidirectional layers leave."""

from __future__ import annotations

import tensorflow as tf

from keras_nnx.export.lowering.operators import register_decomposition


@register_decomposition("ReverseV2", targets=("onnx", "tflite"))
def reverse(operation: tf.Operation, x: tf.Tensor, axes: tf.Tensor) -> list[tf.Tensor]:
    """Leave out what the reversal before undoes."""
    before = x.op
    known = tf.get_static_value(axes)
    if before.type != "ReverseV2" or known is None or x.shape.rank is None:
        return NotImplemented
    others = tf.get_static_value(before.inputs[1])
    if others is None or {int(axis) % x.shape.rank for axis in known} != {int(axis) % x.shape.rank for axis in others}:
        return NotImplemented
    return [before.inputs[0]]
