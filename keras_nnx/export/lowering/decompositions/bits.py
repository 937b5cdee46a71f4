"""Decompositions of operators on bits: ONNX shifts what has no sign only, TFLite shifts right and compares bits."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from keras_nnx.export.lowering.operators import register_decomposition


@register_decomposition("BitwiseAnd", targets=("onnx",))
def sign_bit(operation: tf.Operation, x: tf.Tensor, mask: tf.Tensor) -> list[tf.Tensor]:
    """Read the sign bit of a float off the float; Keras's argmax and signbit look at the bits."""
    return _sign_bit(x, mask)


@register_decomposition("BitwiseAnd", targets=("tflite",))
def bitwise_and(operation: tf.Operation, x: tf.Tensor, y: tf.Tensor) -> list[tf.Tensor]:
    """Add and take away what differs: a + b = (a ^ b) + 2 (a & b), of halves, so that nothing overflows."""
    read = _sign_bit(x, y)
    return [_common(x, y)] if read is NotImplemented else read


@register_decomposition("BitwiseOr", targets=("tflite",))
def bitwise_or(operation: tf.Operation, x: tf.Tensor, y: tf.Tensor) -> list[tf.Tensor]:
    """Add what differs and what is common."""
    return [tf.bitwise.bitwise_xor(x, y) + _common(x, y)]


@register_decomposition("Invert", targets=("tflite",))
def invert(operation: tf.Operation, x: tf.Tensor) -> list[tf.Tensor]:
    """Take it from the number whose bits are all set."""
    return [tf.constant(x.dtype.max if x.dtype.is_unsigned else -1, x.dtype) - x]


@register_decomposition("LeftShift", targets=("onnx", "tflite"))
def left_shift(operation: tf.Operation, x: tf.Tensor, count: tf.Tensor) -> list[tf.Tensor]:
    """Multiply by the power of two; TensorFlow shifts by no less than nothing and at most by all bits but one."""
    if x.dtype == tf.uint64:
        return NotImplemented
    wide = tf.cast(x, _wide(x))
    return [tf.cast(wide * _power_of_two(x, count), x.dtype)]


@register_decomposition("RightShift", targets=("onnx",))
def right_shift(operation: tf.Operation, x: tf.Tensor, count: tf.Tensor) -> list[tf.Tensor]:
    """Divide by the power of two and round down, as if in more bits: the largest power is a negative number."""
    if x.dtype == tf.uint64:
        return NotImplemented
    wide, power = tf.cast(x, _wide(x)), _power_of_two(x, count)
    quotient = tf.raw_ops.Div(x=wide, y=power)
    below = tf.logical_and(wide < 0, tf.not_equal(quotient * power, wide))
    one = tf.ones([], wide.dtype)
    shifted = tf.where(power < 0, tf.where(wide < 0, -one, one - one), tf.where(below, quotient - one, quotient))
    return [tf.cast(shifted, x.dtype)]


def _sign_bit(x: tf.Tensor, mask: tf.Tensor) -> list[tf.Tensor]:
    known = tf.get_static_value(mask)
    if x.op.type != "Bitcast" or known is None or x.op.inputs[0].dtype != tf.float32 or x.dtype != tf.int32:
        return NotImplemented
    if (known != -(2**31)).any():
        return NotImplemented
    number = x.op.inputs[0]
    negative = tf.logical_or(number < 0.0, tf.logical_and(tf.equal(number, 0.0), 1.0 / number < 0.0))
    return [tf.where(negative, mask, tf.zeros_like(mask))]


def _common(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    one = tf.ones([], x.dtype)
    half_x, half_y = tf.bitwise.right_shift(x, one), tf.bitwise.right_shift(y, one)
    last = (x - half_x - half_x) * (y - half_y - half_y)
    return half_x + half_y - tf.bitwise.bitwise_xor(half_x, half_y) + last


def _power_of_two(x: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """Return 2 to the power of `count`, held between none and all bits of `x` but one, in the wide type."""
    bits, wide = x.dtype.size * 8, _wide(x).as_numpy_dtype
    powers = np.left_shift(np.ones([], wide), np.arange(bits, dtype=wide))
    most = tf.constant(bits - 1, tf.int64)
    return tf.gather(tf.constant(powers), tf.clip_by_value(tf.cast(count, tf.int64), tf.zeros_like(most), most))


def _wide(x: tf.Tensor) -> tf.DType:
    """Return the type in which narrow and unsigned integers are shifted; a cast back drops what is too much."""
    return x.dtype if x.dtype in (tf.int32, tf.int64) else tf.int64
