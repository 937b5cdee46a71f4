"""Complex numbers as pairs of real ones, and Fourier transforms as products with matrices.

No target has complex tensors. Most of a graph that uses them moves them about, and does the same with either part.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from keras_nnx.export.lowering.graphs import axis_size

_ASKING = {"Shape", "Rank", "Size"}
_MOVING = {
    "BroadcastTo", "ConcatV2", "ExpandDims", "GatherV2", "Identity", "Pack", "Reshape", "ReverseV2", "Roll", "Select",
    "SelectV2", "Slice", "Squeeze", "StridedSlice", "Tile", "Transpose", "Unpack", "Split", "SplitV", "Pad", "PadV2",
    "AddV2", "Add", "Sub", "Neg", "Sum", "Mean", "ZerosLike", "StopGradient",
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Pair:
    """A complex tensor, as two real ones."""

    real: tf.Tensor
    imaginary: tf.Tensor


def is_complex(operation: tf.Operation) -> bool:
    """Whether an operation takes or gives complex numbers."""
    return any(tensor.dtype.is_complex for tensor in (*operation.inputs, *operation.outputs))


def write(operation: tf.Operation, inputs: Sequence[Any], copy: Callable[..., Any]) -> Sequence[Any] | None:
    """Return the outputs of a complex operation, complex ones as pairs; None if it is not known.

    Args:
        operation: The operation.
        inputs: Its inputs in the new graph, complex ones as pairs.
        copy: Copies an operation with other inputs; `real=True` makes it one over real numbers.
    """
    if operation.type == "Const":
        value = tf.make_ndarray(operation.get_attr("value"))
        return [Pair(tf.constant(value.real), tf.constant(value.imag))]
    if operation.type in _ASKING:
        return copy(operation, [value.real if isinstance(value, Pair) else value for value in inputs], real=True)
    if operation.type in _MOVING:
        # An input that is real in both is a size or an axis.
        parts = [
            copy(operation, [getattr(value, part) if isinstance(value, Pair) else value for value in inputs], real=True)
            for part in ("real", "imaginary")
        ]
        return [Pair(real, imaginary) for real, imaginary in zip(*parts, strict=True)]
    rule = _RULES.get(operation.type)
    return None if rule is None else [rule(operation, *inputs)]


def _cast(operation: tf.Operation, x: Any) -> Any:
    if isinstance(x, Pair):
        return x if operation.outputs[0].dtype.is_complex else tf.cast(x.real, operation.outputs[0].dtype)
    real = tf.cast(x, tf.float32)
    return Pair(real, tf.zeros_like(real))


def _multiply(operation: tf.Operation, x: Pair, y: Pair) -> Pair:
    return Pair(x.real * y.real - x.imaginary * y.imaginary, x.real * y.imaginary + x.imaginary * y.real)


def _divide(operation: tf.Operation, x: Pair, y: Pair) -> Pair:
    scale = y.real * y.real + y.imaginary * y.imaginary
    product = _multiply(operation, x, Pair(y.real, -y.imaginary))
    return Pair(product.real / scale, product.imaginary / scale)


def _transform(axes: int, sign: int) -> Callable[..., Pair]:
    """Return the rule of a Fourier transform over the last `axes` axes; the sign is the exponent's."""

    def rule(operation: tf.Operation, x: Pair) -> Pair:
        for axis in range(1, axes + 1):
            x = _along(x, axis, sign)
        return x

    return rule


def _along(x: Pair, axis: int, sign: int) -> Pair:
    """Transform along the last axis (1) or the one before (2)."""
    size = axis_size(x.real, -axis)
    cosine, sine = _waves(size, size)
    if axis == 1:
        products = [tf.linalg.matmul(part, wave) for part in (x.real, x.imaginary) for wave in (cosine, sine)]
    else:
        products = [tf.linalg.matmul(wave, part) for part in (x.real, x.imaginary) for wave in (cosine, sine)]
    real, imaginary = products[0] - sign * products[3], products[2] + sign * products[1]
    if sign > 0:
        scale = 1.0 / tf.cast(size, tf.float32)
        real, imaginary = real * scale, imaginary * scale
    return Pair(real, imaginary)


def _real_transform(operation: tf.Operation, x: tf.Tensor, length: tf.Tensor) -> Pair:
    """Transform real numbers: the first half of the result, whose second half mirrors it."""
    size = length[0]
    x = _fitted(x, size)
    cosine, sine = _waves(size, size // 2 + 1)
    return Pair(tf.linalg.matmul(x, cosine), tf.linalg.matmul(x, -sine))  # the sum is no minus zero, whose angle is -pi


def _inverse_real_transform(operation: tf.Operation, x: Pair, length: tf.Tensor) -> tf.Tensor:
    size = length[0]
    count = size // 2 + 1
    place = tf.range(count)
    once = tf.logical_or(tf.equal(place, 0), tf.equal(place * 2, size))
    weight = tf.where(once, 1.0, 2.0) / tf.cast(size, tf.float32)
    cosine, sine = (tf.transpose(wave) for wave in _waves(size, count))
    real, imaginary = _fitted(x.real, count) * weight, _fitted(x.imaginary, count) * weight
    return tf.linalg.matmul(real, cosine) - tf.linalg.matmul(imaginary, sine)


def _waves(size: tf.Tensor, count: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the cosines and sines of 2 pi j k / size, for all j under `size` and k under `count`."""
    turns = (tf.range(size)[:, None] * tf.range(count)[None, :]) % size  # whole turns would cost digits
    angle = tf.cast(turns, tf.float32) * (2 * math.pi) / tf.cast(size, tf.float32)
    return tf.cos(angle), tf.sin(angle)


def _fitted(x: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Return `x` cut off or filled with zeros at the end of its last axis."""
    x = x[..., :size]
    missing = size - axis_size(x, -1)
    return tf.pad(x, tf.concat([tf.zeros([x.shape.rank - 1, 2], tf.int32), [[0, missing]]], 0))


_RULES: dict[str, Callable[..., Any]] = {
    "Cast": _cast,
    "Complex": lambda _, real, imaginary: Pair(real, imaginary),
    "Real": lambda _, x: x.real,
    "Imag": lambda _, x: x.imaginary,
    "Conj": lambda _, x: Pair(x.real, -x.imaginary),
    "ComplexAbs": lambda _, x: tf.sqrt(x.real * x.real + x.imaginary * x.imaginary),
    "Angle": lambda _, x: tf.atan2(x.imaginary, x.real),
    "Mul": _multiply,
    "RealDiv": _divide,
    "Square": lambda operation, x: _multiply(operation, x, x),
    "FFT": _transform(1, -1),
    "FFT2D": _transform(2, -1),
    "IFFT": _transform(1, 1),
    "IFFT2D": _transform(2, 1),
    "RFFT": _real_transform,
    "IRFFT": _inverse_real_transform,
}
