"""Decompositions of trigonometric and hyperbolic functions, and of their inverses."""

from __future__ import annotations

import math

import tensorflow as tf

from keras_nnx.export.lowering.decompositions.mathematics import expm1, log1p_by_series
from keras_nnx.export.lowering.operators import register_decomposition

_SQUARE_VANISHES = 1e6
"""Beyond it, x^2 + 1 is x^2 in float32 and float64 alike, to the last bits that the inverse hyperbolic sine keeps."""

_LOG_2 = math.log(2)


@register_decomposition("Tan", targets=("tflite",))
def tangent(operation: tf.Operation, x: tf.Tensor) -> list[tf.Tensor]:
    """Return sin(x) / cos(x)."""
    return [tf.sin(x) / tf.cos(x)]


@register_decomposition("Atan", targets=("tflite",))
def arc_tangent(operation: tf.Operation, x: tf.Tensor) -> list[tf.Tensor]:
    """Return the angle of the point (1, x), which TFLite knows."""
    return [tf.atan2(x, tf.ones_like(x))]


@register_decomposition("Asin", targets=("tflite",))
def arc_sine(operation: tf.Operation, x: tf.Tensor) -> list[tf.Tensor]:
    """Return the angle of the point (sqrt(1 - x^2), x)."""
    return [tf.atan2(x, _other_leg(x))]


@register_decomposition("Acos", targets=("tflite",))
def arc_cosine(operation: tf.Operation, x: tf.Tensor) -> list[tf.Tensor]:
    """Return the angle of the point (x, sqrt(1 - x^2))."""
    return [tf.atan2(_other_leg(x), x)]


@register_decomposition("Sinh", targets=("tflite",))
def hyperbolic_sine(operation: tf.Operation, x: tf.Tensor) -> list[tf.Tensor]:
    """Return (e^x - e^-x) / 2, near zero as expm1(|x|) + expm1(|x|) / e^|x|, whose digits do not cancel."""
    size = tf.abs(x)
    near = expm1(operation, _at_most(size, 1))[0]
    rising, falling = _halves_of_exponentials(size)
    value = tf.where(size < 1, (near + near / (near + 1)) / 2, rising - falling)
    return [tf.where(x < 0, -value, value)]


@register_decomposition("Cosh", targets=("tflite",))
def hyperbolic_cosine(operation: tf.Operation, x: tf.Tensor) -> list[tf.Tensor]:
    """Return (e^x + e^-x) / 2."""
    rising, falling = _halves_of_exponentials(tf.abs(x))
    return [rising + falling]


@register_decomposition("Asinh", targets=("tflite",))
def inverse_hyperbolic_sine(operation: tf.Operation, x: tf.Tensor) -> list[tf.Tensor]:
    """Return the sign of x times log(|x| + sqrt(x^2 + 1)): near zero by log1p, far from it by log(2 |x|)."""
    size = tf.abs(x)
    near = _at_most(size, _SQUARE_VANISHES)
    square = near * near
    value = log1p_by_series(operation, near + square / (1 + tf.sqrt(square + 1)))[0]
    value = tf.where(size > _SQUARE_VANISHES, tf.math.log(size) + _LOG_2, value)
    return [tf.where(x < 0, -value, value)]


@register_decomposition("Acosh", targets=("tflite",))
def inverse_hyperbolic_cosine(operation: tf.Operation, x: tf.Tensor) -> list[tf.Tensor]:
    """Return log(x + sqrt(x^2 - 1)), next to one by log1p; the roots of x - 1 and x + 1 apart do not overflow."""
    above = x - 1
    root = tf.sqrt(above) * tf.sqrt(x + 1)
    return [tf.where(x < 2, log1p_by_series(operation, above + root)[0], tf.math.log(x / 2 + root / 2) + _LOG_2)]


@register_decomposition("Atanh", targets=("tflite",))
def inverse_hyperbolic_tangent(operation: tf.Operation, x: tf.Tensor) -> list[tf.Tensor]:
    """Return log((1 + |x|) / (1 - |x|)) / 2 with the sign of x, by log1p."""
    size = tf.abs(x)
    value = log1p_by_series(operation, 2 * size / (1 - size))[0] / 2
    return [tf.where(x < 0, -value, value)]


def _other_leg(x: tf.Tensor) -> tf.Tensor:
    """Return sqrt(1 - x^2); by its factors, since the square of x loses the digits next to one."""
    return tf.sqrt((1 - x) * (1 + x))


def _halves_of_exponentials(size: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return e^x / 2 and e^-x / 2 for x >= 0, by e^(x/2), which does not overflow before the answer does."""
    root = tf.exp(size / 2)
    return (root / 2) * root, (1 / (2 * root)) / root


def _at_most(x: tf.Tensor, limit: float) -> tf.Tensor:
    """Return the smaller one; what is not a number stays so, which TFLite's own minimum forgets."""
    return tf.where(x > limit, tf.constant(limit, x.dtype), x)
