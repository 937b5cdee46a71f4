"""Sums and products of integers for ONNX: ONNX Runtime computes them in floats, which drop digits and never wrap."""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf

from keras_nnx.export.lowering.graphs import axis_size
from keras_nnx.export.lowering.operators import register_decomposition

LONGEST = 64
"""A product of more numbers is left to the runtime: each is an operator."""
_SMALL = 2**31
_NARROW = (tf.bool, tf.int8, tf.uint8, tf.int16, tf.uint16)
_PASSED_THROUGH = {"Identity", "Reshape", "Transpose", "ExpandDims", "Squeeze", "StridedSlice", "ConcatV2", "Pack"}


@register_decomposition("Sum", targets=("onnx",))
def integer_sum(operation: tf.Operation, x: tf.Tensor, axes: tf.Tensor) -> list[tf.Tensor]:
    """Multiply by a column of ones, which is exact."""
    places = _places(x, axes)
    if not places or _is_small(x):
        return NotImplemented
    kept = [axis for axis in range(x.shape.rank) if axis not in places]
    sizes = [axis_size(x, axis) for axis in range(x.shape.rank)]
    moved = tf.transpose(x, [*kept, *places]) if kept and kept[-1] > places[0] else x
    count = math.prod(sizes[place] for place in places[1:]) * sizes[places[0]]
    rows = tf.reshape(
        moved, tf.stack([math.prod((sizes[axis] for axis in kept[1:]), start=_first(kept, sizes)), count])
    )
    total = tf.linalg.matmul(rows, tf.ones(tf.stack([count, 1]), x.dtype))
    keep = operation.get_attr("keep_dims")
    shape = [1 if axis in places else size for axis, size in enumerate(sizes) if keep or axis not in places]
    return [tf.reshape(total, tf.stack(shape) if shape else [])]


@register_decomposition("Prod", targets=("onnx",))
def integer_product(operation: tf.Operation, x: tf.Tensor, axes: tf.Tensor) -> list[tf.Tensor]:
    """Multiply one number after the other."""
    places = _places(x, axes)
    if not places or _is_sizes(x) or not 0 < math.prod(x.shape[place] or 0 for place in places) <= LONGEST:
        return NotImplemented
    for place in places:
        x = multiplied(tf.split(x, x.shape[place], axis=place))[-1]
    return [x if operation.get_attr("keep_dims") else tf.squeeze(x, places)]


def multiplied(factors: list[tf.Tensor]) -> list[tf.Tensor]:
    """Return the product of the first factor, the first two, and so on."""
    products = factors[:1]
    for factor in factors[1:]:
        products.append(products[-1] * factor)
    return products


def _first(kept: list[int], sizes: list[tf.Tensor | int]) -> tf.Tensor | int:
    return sizes[kept[0]] if kept else 1


def _places(x: tf.Tensor, axes: tf.Tensor) -> list[int]:
    """Return the axes that are reduced, in order; none if they are not known, or floats are reduced."""
    known = tf.get_static_value(axes)
    if known is None or x.dtype not in (tf.int32, tf.int64) or x.shape.rank is None:
        return []
    return sorted({int(axis) % x.shape.rank for axis in known.reshape(-1)})


def _is_sizes(x: tf.Tensor) -> bool:
    """Whether numbers are certain to be sizes of tensors, whose product is the number of values of one."""
    sources = _sources(x)
    return bool(sources) and all(source.op.type in ("Shape", "Size") for source in sources)


def _is_small(x: tf.Tensor) -> bool:
    """Whether numbers are certain to be so small that floats hold their sum: truth values, sizes, narrow types."""
    return all(_is_small_by_itself(source) for source in _sources(x))


def _is_small_by_itself(x: tf.Tensor) -> bool:
    if x.op.type == "Cast":
        source = x.op.inputs[0]
        return source.dtype in _NARROW or _is_small(source) or (x.dtype == tf.int64 and source.dtype == tf.int32)
    return x.op.type in ("Shape", "Size", "ArgMax", "ArgMin")


def _sources(x: tf.Tensor) -> list[tf.Tensor]:
    """Return where numbers come from that are only arranged, without small constants."""
    known = tf.get_static_value(x)
    if known is not None and (np.abs(known.astype("float64")) < _SMALL).all():
        return []
    if x.op.type not in _PASSED_THROUGH:
        return [x]
    arranged = x.op.inputs if x.op.type in ("ConcatV2", "Pack") else x.op.inputs[:1]
    return [source for tensor in arranged for source in _sources(tensor)]
