"""Lowerings of stock Keras layers."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from keras_nnx.export.lowering.layers import register_lowering


@register_lowering(keras.layers.Dense)
def dense(layer: keras.layers.Dense, inputs: Any, training: bool | None = None) -> Any:
    """Multiply a tensor of any rank by the kernel in one operator.

    Keras goes through `tensordot`, which leaves Shape, Gather and Concat nodes behind where a dimension is dynamic.
    """
    outputs = tf.linalg.matmul(inputs, tf.cast(layer.kernel, inputs.dtype))
    if layer.bias is not None:
        outputs = outputs + tf.cast(layer.bias, outputs.dtype)
    return outputs if layer.activation is None else layer.activation(outputs)
