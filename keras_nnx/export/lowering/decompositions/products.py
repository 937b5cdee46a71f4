"""Decompositions of products of tensors."""

from __future__ import annotations

import math
import string
from collections.abc import Sequence

import tensorflow as tf

from keras_nnx.export.lowering.decompositions.bands import diagonal
from keras_nnx.export.lowering.operators import register_decomposition

_EXACT = 256
"""So many products of two integers of 8 bits are always under 2**24, up to which floats hold every integer."""


@register_decomposition("Einsum", targets=("tflite",))
def einsum_of_diagonals(operation: tf.Operation, *tensors: tf.Tensor) -> list[tf.Tensor]:
    """Take the diagonals, which the converter does not, as for ONNX; the rest it knows."""
    inputs, _, _ = operation.get_attr("equation").decode().replace("...", "").partition("->")
    repeated = any(len(set(term)) < len(term) for term in inputs.split(","))
    return _einsum(operation, tensors) if repeated else NotImplemented


@register_decomposition("Einsum", targets=("onnx",))
def einsum(operation: tf.Operation, *tensors: tf.Tensor) -> list[tf.Tensor]:
    """Write an equation as transpositions and one matrix product; tf2onnx computes with shapes all around it."""
    return _einsum(operation, tensors)


@register_decomposition("BatchMatMulV3", targets=("tflite",))
def integer_product(operation: tf.Operation, x: tf.Tensor, y: tf.Tensor) -> list[tf.Tensor]:
    """Multiply integers of 8 bits as floats, so many at a time that nothing is rounded: quantised layers of Keras."""
    length = y.shape[-1 if operation.get_attr("adj_y") else -2]
    if {x.dtype, y.dtype} - {tf.int8, tf.uint8} or operation.get_attr("adj_x") or length is None:
        return NotImplemented
    left, right = tf.cast(x, tf.float32), tf.cast(y, tf.float32)
    if operation.get_attr("adj_y"):
        right = tf.linalg.matrix_transpose(right)
    result = None
    for start in range(0, length, _EXACT):
        part = tf.cast(
            left[..., start : start + _EXACT] @ right[..., start : start + _EXACT, :], operation.outputs[0].dtype
        )
        result = part if result is None else result + part
    return NotImplemented if result is None else [result]


def _einsum(operation: tf.Operation, tensors: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    terms = _spelled_out(operation.get_attr("equation").decode(), [tensor.shape.rank for tensor in tensors])
    if terms is None or len(set(terms[-1])) < len(terms[-1]):
        return NotImplemented  # an axis that is broadcast
    *repeating, output = terms
    tensors, inputs = zip(*map(_without_diagonals, tensors, repeating), strict=True)
    if len(inputs) == 1:
        return [_arrange(*_without(tensors[0], inputs[0], output), output)]
    (left, first), (right, second) = (
        _without(tensor, term, output + other)
        for tensor, term, other in zip(tensors, inputs, reversed(inputs), strict=True)
    )
    # The product has the left operand's own axes before the right one's.
    own = [axis for axis in output if (axis in first) != (axis in second)]
    if own and own[0] in second:
        (left, first), (right, second) = (right, second), (left, first)
    return [_product(left, first, right, second, output)]


def _spelled_out(equation: str, ranks: Sequence[int | None]) -> list[str] | None:
    """Return the axes of each operand and of the result as letters, those that dots stand for too."""
    inputs, _, output = equation.replace("...", ".").partition("->")
    terms = inputs.split(",")
    if None in ranks:
        return None
    hidden = [(rank or 0) - len(term) + 1 if "." in term else 0 for term, rank in zip(terms, ranks, strict=True)]
    letters = "".join(letter for letter in string.ascii_letters if letter not in equation)[: max(hidden)]
    if any(count not in (0, max(hidden)) for count in hidden):
        return None
    return [term.replace(".", letters) for term in (*terms, output)]


def _without_diagonals(tensor: tf.Tensor, term: str) -> tuple[tf.Tensor, str]:
    """Make one axis of those that have the same letter."""
    for axis in dict.fromkeys(term):
        while term.count(axis) > 1:
            rest = term.replace(axis, "", 2)
            places = [place for place, letter in enumerate(term) if letter == axis][:2]
            others = [place for place in range(len(term)) if place not in places]
            tensor, term = diagonal(tf.transpose(tensor, [*others, *places])), rest + axis
    return tensor, term


def _without(tensor: tf.Tensor, term: str, needed: str) -> tuple[tf.Tensor, str]:
    """Sum over the axes that nothing else has."""
    alone = [place for place, axis in enumerate(term) if axis not in needed]
    if alone:
        tensor = tf.reduce_sum(tensor, alone)
    return tensor, "".join(axis for axis in term if axis in needed)


def _product(left: tf.Tensor, first: str, right: tf.Tensor, second: str, output: str) -> tf.Tensor:
    batch = [axis for axis in output if axis in first and axis in second]
    summed = [axis for axis in first if axis in second and axis not in output]
    own = [axis for axis in output if axis in first and axis not in second]
    other = [axis for axis in output if axis in second and axis not in first]
    sizes = {**_sizes(right, second), **_sizes(left, first)}
    if not summed:
        whole = [*batch, *own, *other]
        return _arrange(_spread(left, first, whole) * _spread(right, second, whole), "".join(whole), output)
    if not batch and own:
        # The product of a tensor of any rank and a matrix is one operator.
        left, kept = _group(_arrange(left, first, own + summed), sizes, [[axis] for axis in own], summed), own
    else:
        left, kept = (
            _group(_arrange(left, first, batch + own + summed), sizes, [[axis] for axis in batch], own, summed),
            None,
        )
    right = _group(_arrange(right, second, batch + summed + other), sizes, [[axis] for axis in batch], summed, other)
    result = tf.linalg.matmul(left, right)
    whole = [*batch, *own, *other]
    if len(other) != 1 or (kept is None and len(own) != 1):
        result = tf.reshape(result, _joined([sizes[axis] for axis in whole]))
    return _arrange(result, "".join(whole), output)


def _arrange(tensor: tf.Tensor, term: str, wanted: Sequence[str]) -> tf.Tensor:
    order = [term.index(axis) for axis in wanted]
    return tensor if order == list(range(len(order))) else tf.transpose(tensor, order)


def _spread(tensor: tf.Tensor, term: str, whole: Sequence[str]) -> tf.Tensor:
    """Return a tensor with axes of size 1 where it lacks one."""
    tensor = _arrange(tensor, term, [axis for axis in whole if axis in term])
    for place, axis in enumerate(whole):
        if axis not in term:
            tensor = tf.expand_dims(tensor, place)
    return tensor


def _sizes(tensor: tf.Tensor, term: str) -> dict[str, int | tf.Tensor]:
    return {
        axis: tf.shape(tensor)[place] if size is None else size
        for place, (axis, size) in enumerate(zip(term, tensor.shape, strict=True))
    }


def _group(
    tensor: tf.Tensor, sizes: dict[str, int | tf.Tensor], single: list[list[str]], *groups: list[str]
) -> tf.Tensor:
    """Return a tensor with each of the groups of its last axes as one axis."""
    if all(len(group) == 1 for group in groups):
        return tensor
    return tf.reshape(tensor, _joined([_multiplied([sizes[axis] for axis in group]) for group in (*single, *groups)]))


def _multiplied(sizes: Sequence[int | tf.Tensor]) -> int | tf.Tensor:
    known = math.prod(size for size in sizes if isinstance(size, int))
    unknown = [size for size in sizes if not isinstance(size, int)]
    return tf.reduce_prod(tf.stack([*unknown, known])) if unknown else known


def _joined(sizes: Sequence[int | tf.Tensor]) -> tf.Tensor | list[int]:
    """Return a shape; one unknown size is left to the reshape."""
    unknown = [size for size in sizes if not isinstance(size, int)]
    if len(unknown) < 2:
        return [size if isinstance(size, int) else -1 for size in sizes]
    return tf.stack(list(sizes))
