"""Decompositions of functions of one number."""

from __future__ import annotations

import tensorflow as tf

from keras_nnx.export.lowering.operators import register_decomposition


@register_decomposition("Erfc", targets=("onnx",))
def erfc(operation: tf.Operation, x: tf.Tensor) -> list[tf.Tensor]:
    """Return 1 - erf(x): the ONNX standard has no complementary error function, and exact GELU is made of it."""
    return [tf.constant(1, x.dtype) - tf.math.erf(x)]


@register_decomposition("Expm1", targets=("onnx",))
def expm1(operation: tf.Operation, x: tf.Tensor) -> list[tf.Tensor]:
    """Return exp(x) - 1, which the ONNX standard has under no other name; near zero it is exact to 6e-8."""
    return [tf.exp(x) - tf.constant(1, x.dtype)]


@register_decomposition("Softplus", targets=("tflite",))
def softplus(operation: tf.Operation, x: tf.Tensor) -> list[tf.Tensor]:
    """Return log(1 + exp(x)) without the overflow that the converter's own rewriting has from 89 on."""
    return [tf.nn.relu(x) + tf.math.log(tf.constant(1, x.dtype) + tf.exp(-tf.abs(x)))]
