"""How many steps a model may look back or ahead, read from its layers and from its graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

_WITHIN_A_STEP = keras.layers.TimeDistributed | keras.layers.RNN


def reach(model: keras.Model, graph: tf.Graph) -> int:
    """Return how many steps apart an answer and what it depends on may be, recurrent layers left out.

    It is the sum of what all kernels see beside one step and of all distances that paddings, slices, concatenations
    and rolls move steps by, whatever layer or operation makes them.

    Args:
        model: The model.
        graph: What it was traced to for an unknown number of steps: an axis of unknown size is the time.
    """
    return _seen_by_kernels(model) + sum(max(_moved(operation), default=0) for operation in graph.get_operations())


def _seen_by_kernels(model: keras.Model) -> int:
    layers = model._flatten_layers(include_self=False)
    outer = [layer for layer in layers if isinstance(layer, _WITHIN_A_STEP)]
    hidden = {id(inner) for layer in outer for inner in layer._flatten_layers(include_self=False)}
    seen = 0
    for layer in layers:
        if id(layer) in hidden or isinstance(layer, _WITHIN_A_STEP):
            continue
        if getattr(layer, "padding", None) == "causal":
            continue  # its padding is in the graph
        sizes = getattr(layer, "kernel_size", getattr(layer, "pool_size", None))
        sizes = sizes if isinstance(sizes, tuple | list) else ()
        rates = getattr(layer, "dilation_rate", 1)
        rates = rates if isinstance(rates, tuple | list) else [rates] * len(sizes)
        seen += max(((size - 1) * rate for size, rate in zip(sizes, rates, strict=False)), default=0)
    return seen


def _moved(operation: tf.Operation) -> Iterator[int]:
    """Yield by how many steps an operation moves some of its input."""
    read = _READERS.get(operation.type)
    if read is None:
        return
    for axis, steps in read(operation):
        if axis > 0 and _is_time(operation.inputs[0], axis):
            yield abs(int(steps))


def _is_time(tensor: tf.Tensor, axis: int) -> bool:
    shape = tensor.shape
    return shape.rank is not None and axis < shape.rank and shape[axis] is None


def _paddings(operation: tf.Operation) -> list[tuple[int, int]]:
    widths = _constant(operation, 1)
    return [] if widths is None else [(axis, max(pair)) for axis, pair in enumerate(widths.tolist())]


def _bounds(operation: tf.Operation) -> list[tuple[int, int]]:
    marks = [operation.get_attr(f"{name}_mask") for name in ("ellipsis", "new_axis")]
    values = [_constant(operation, index) for index in (1, 2)]
    if any(marks):
        return [(1, bound) for value in values if value is not None for bound in value.tolist() if abs(bound) < _OPEN]
    return [
        (axis, bound)
        for value in values
        if value is not None
        for axis, bound in enumerate(value.tolist())
        if abs(bound) < _OPEN
    ]


def _begins(operation: tf.Operation) -> list[tuple[int, int]]:
    values = [_constant(operation, index) for index in (1, 2)]
    return [(axis, size) for value in values if value is not None for axis, size in enumerate(value.tolist())]


def _shifts(operation: tf.Operation) -> list[tuple[int, int]]:
    shift, axes = (_constant(operation, index) for index in (1, 2))
    if shift is None or axes is None:
        return []
    rank = operation.inputs[0].shape.rank or 0
    return [(int(axis) % max(rank, 1), int(steps)) for steps, axis in np.broadcast(shift.ravel(), axes.ravel())]


def _constant(operation: tf.Operation, index: int) -> np.ndarray | None:
    value = tf.get_static_value(operation.inputs[index], partial=False)
    return None if value is None else np.asarray(value)


_OPEN = 2**31 - 1
"""A bound of a slice that is left open."""

_READERS: dict[str, Callable[[Any], list[tuple[int, int]]]] = {
    "Pad": _paddings,
    "PadV2": _paddings,
    "MirrorPad": _paddings,
    "StridedSlice": _bounds,
    "Slice": _begins,
    "Roll": _shifts,
}
