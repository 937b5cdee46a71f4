"""Decompositions of functions of one number."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from keras_nnx.export.lowering.operators import register_decomposition

_MOST_AXES = 4


@register_decomposition("Erfc", targets=("onnx",))
def erfc(operation: tf.Operation, x: tf.Tensor) -> list[tf.Tensor]:
    """Return 1 - erf(x): the ONNX standard has no complementary error function, and exact GELU is made of it."""
    return [tf.constant(1, x.dtype) - tf.math.erf(x)]


@register_decomposition("Expm1", targets=("onnx", "tflite"))
def expm1(operation: tf.Operation, x: tf.Tensor) -> list[tf.Tensor]:
    """Return exp(x) - 1: near zero, where that loses all digits, by 2 tanh(x / 2) / (1 - tanh(x / 2)), which is it."""
    one = tf.constant(1, x.dtype)
    half = tf.tanh(tf.clip_by_value(x, -one, one) / 2)
    return [tf.where(tf.abs(x) < one, 2 * half / (one - half), tf.exp(x) - one)]


@register_decomposition("Log1p", targets=("onnx",))
def log1p(operation: tf.Operation, x: tf.Tensor) -> list[tf.Tensor]:
    """Return log(1 + x): near zero by x log(u) / (u - 1) with u = 1 + x, in which the rounding of u cancels."""
    one = tf.constant(1, x.dtype)
    u = one + x
    near = tf.abs(x) < one / 2
    moved = tf.where(tf.logical_or(tf.equal(u, one), tf.logical_not(near)), one / 2, u)
    scaled = tf.where(tf.equal(u, one), x, x * (tf.math.log(moved) / (moved - one)))
    return [tf.where(near, scaled, tf.math.log(u))]


@register_decomposition("Log1p", targets=("tflite",))
def log1p_by_series(operation: tf.Operation, x: tf.Tensor) -> list[tf.Tensor]:
    """Return log(1 + x): near zero by the series of 2 artanh(x / (2 + x)), since LiteRT's logarithm is rough near 1."""
    near = tf.abs(x) <= tf.constant(0.5, x.dtype)
    small = tf.where(near, x, tf.zeros_like(x))
    ratio = small / (small + tf.constant(2, x.dtype))
    square, total = ratio * ratio, tf.constant(1 / _ODD[-1], x.dtype)
    for odd in reversed(_ODD[:-1]):
        total = total * square + tf.constant(1 / odd, x.dtype)
    return [tf.where(near, tf.constant(2, x.dtype) * ratio * total, tf.math.log(x + tf.constant(1, x.dtype)))]


_ODD = (1, 3, 5, 7, 9, 11, 13, 15)
"""Terms up to 3 ** -15 / 15, which is under a rounding of float32."""

_ORDERINGS = ("Greater", "GreaterEqual", "Less", "LessEqual")


@register_decomposition("IsInf", targets=("tflite",))
def is_infinite(operation: tf.Operation, x: tf.Tensor) -> list[tf.Tensor]:
    """Whether |x| passes the largest number: the converter compares with infinity, which the runtime finds unequal."""
    return [tf.abs(x) > tf.constant(x.dtype.max, x.dtype)]


@register_decomposition("LogicalNot", targets=("tflite",))
def negated(operation: tf.Operation, x: tf.Tensor) -> list[tf.Tensor]:
    """Choose instead of negating a comparison of floats: the converter turns it around, which a NaN tells apart."""
    if x.op.type not in _ORDERINGS or not x.op.inputs[0].dtype.is_floating:
        return NotImplemented
    return [tf.where(x, tf.zeros_like(x), tf.ones_like(x))]


@register_decomposition("Softplus", targets=("tflite",))
def softplus(operation: tf.Operation, x: tf.Tensor) -> list[tf.Tensor]:
    """Return log(1 + exp(x)) without the overflow that the converter's own rewriting has from 89 on."""
    (small,) = log1p_by_series(operation, tf.exp(-tf.abs(x)))
    return [tf.nn.relu(x) + small]


_ERF_NUMERATOR = (
    -2.72614225801306e-10,
    2.77068142495902e-08,
    -2.10102402082508e-06,
    -5.69250639462346e-05,
    -7.34990630326855e-04,
    -2.95459980854025e-03,
    -1.60960333262415e-02,
)
_ERF_DENOMINATOR = (
    -1.45660718464996e-05,
    -2.13374055278905e-04,
    -1.68282697438203e-03,
    -7.37332916720468e-03,
    -1.42647390514189e-02,
)


@register_decomposition("Erf", targets=("tflite",))
def erf(operation: tf.Operation, x: tf.Tensor) -> list[tf.Tensor]:
    """Return the rational function that Eigen has for it, exact to the last bits of float32: TFLite has none."""
    if x.dtype != tf.float32:
        return NotImplemented
    x = tf.clip_by_value(x, -4.0, 4.0)
    square = x * x
    return [x * _polynomial(square, _ERF_NUMERATOR) / _polynomial(square, _ERF_DENOMINATOR)]


@register_decomposition("Erfc", targets=("tflite",))
def erfc_of_erf(operation: tf.Operation, x: tf.Tensor) -> list[tf.Tensor]:
    """Return 1 - erf(x), except in the exact GELU, which the converter knows."""
    if _is_of_gelu(operation, x):
        return NotImplemented
    return [tf.constant(1, x.dtype) - erf(operation, x)[0]]


_ERFINV_CENTRAL = (
    2.81022636e-08,
    3.43273939e-07,
    -3.5233877e-06,
    -4.39150654e-06,
    0.00021858087,
    -0.00125372503,
    -0.00417768164,
    0.246640727,
    1.50140941,
)
_ERFINV_TAIL = (
    -0.000200214257,
    0.000100950558,
    0.00134934322,
    -0.00367342844,
    0.00573950773,
    -0.0076224613,
    0.00943887047,
    1.00167406,
    2.83297682,
)


@register_decomposition("Erfinv", targets=("onnx", "tflite"))
def erfinv(operation: tf.Operation, x: tf.Tensor) -> list[tf.Tensor]:
    """Return Giles's approximation in single precision ("Approximating the erfinv function", 2010)."""
    if x.dtype != tf.float32:
        return NotImplemented
    edge = tf.equal(tf.abs(x), 1)
    inner = tf.where(edge, tf.zeros([], x.dtype), x)
    w = -tf.math.log((1 - inner) * (1 + inner))
    central = _polynomial(w - 2.5, _ERFINV_CENTRAL)
    tail = _polynomial(tf.sqrt(w) - 3, _ERFINV_TAIL)
    # LiteRT's product with a constant infinity is no number.
    return [tf.where(edge, x / (1 - tf.abs(x)), tf.where(w < 5, central, tail) * inner)]


def _is_of_gelu(operation: tf.Operation, x: tf.Tensor) -> bool:
    """Whether the operator is applied to x / sqrt(2) and multiplied."""
    factors = [tf.get_static_value(factor) for factor in x.op.inputs] if x.op.type == "Mul" else []
    halved = any(value is not None and np.allclose(np.square(value), 0.5) for value in factors)
    return halved and any(reader.type == "Mul" for reader in operation.outputs[0].consumers())


def _polynomial(x: tf.Tensor, coefficients: tuple[float, ...]) -> tf.Tensor:
    result = tf.constant(coefficients[0], x.dtype)
    for coefficient in coefficients[1:]:
        result = result * x + tf.constant(coefficient, x.dtype)
    return result


@register_decomposition("Abs", targets=("tflite",))
def absolute(operation: tf.Operation, x: tf.Tensor) -> list[tf.Tensor]:
    """Return the larger of x and -x: TFLite takes the absolute value of floats only."""
    return [tf.maximum(x, -x)] if x.dtype.is_integer else NotImplemented


@register_decomposition("Sign", targets=("onnx", "tflite"))
def sign(operation: tf.Operation, x: tf.Tensor) -> list[tf.Tensor]:
    """Compare with zero: neither converter takes the sign of integers."""
    if not x.dtype.is_integer:
        return NotImplemented
    zero = tf.zeros([], x.dtype)
    return [tf.cast(x > zero, x.dtype) - tf.cast(x < zero, x.dtype)]


@register_decomposition("Rsqrt", targets=("tflite",))
def reciprocal_root(operation: tf.Operation, x: tf.Tensor) -> list[tf.Tensor]:
    """Take the root of the reciprocal, unless something is added below it: LiteRT's own is no number at 0."""
    added = [tf.get_static_value(term) for term in x.op.inputs] if x.op.type in ("AddV2", "Add", "Maximum") else []
    if any(value is not None and np.all(value > 0) for value in added):
        return NotImplemented
    # Of a quotient by the root the converter makes that operator again.
    reciprocal = tf.constant(1, x.dtype) / x
    return [tf.where(tf.equal(x, 0), reciprocal, tf.sqrt(reciprocal))]


@register_decomposition("AddV2", targets=("tflite",))
def add_to_positive(operation: tf.Operation, x: tf.Tensor, y: tf.Tensor) -> list[tf.Tensor]:
    """Swap the terms of a parametric ReLU of five axes or more, which the converter would know, and then refuse."""
    return [y + x] if x.op.type == "Relu" and (x.shape.rank or 0) > _MOST_AXES else NotImplemented
