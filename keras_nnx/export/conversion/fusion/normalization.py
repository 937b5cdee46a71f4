"""Normalisation over the last axes, as one operator."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_nnx.export.conversion.fusion.expressions import Expressions, Polynomial, consumers, is_near
from keras_nnx.export.conversion.fusion.graph import OnnxGraph, attributes
from keras_nnx.export.conversion.fusion.sizes import Sizes

RMS_OPSET = 23


def fuse_normalizations(graph: OnnxGraph, rms: bool) -> None:
    """Write every (x - mean) / sqrt(variance + epsilon) * gamma + beta over last axes as one LayerNormalization.

    Args:
        graph: The graph.
        rms: Whether the opset has RMSNormalization, which leaves out the mean.
    """
    sizes = Sizes(graph)
    for node in graph.nodes("Sqrt"):
        found = _Normalization.read(graph, sizes, node)
        if found is not None and (rms or found.mean is not None):
            found.write(graph)


class _Normalization:
    """What is normalised, over which axes, by which square root."""

    def __init__(self, tensor: str, mean: str | None, axes: tuple[int, ...], epsilon: float, root: Any) -> None:
        self.tensor, self.mean, self.axes, self.epsilon, self.root = tensor, mean, axes, epsilon, root
        self.shape: tuple[int, ...] = ()

    @classmethod
    def read(cls, graph: OnnxGraph, sizes: Sizes, root: Any) -> _Normalization | None:
        """Return what a square root is of, if it is of a variance or of a mean of squares."""
        inside = Expressions(graph).read(root.input[0])
        averages = [term[0] for term in inside if len(term) == 1]
        if len(averages) != 1 or set(inside) - {(), (averages[0],)} or not np.all(inside[averages[0],] == 1.0):
            return None
        epsilon = inside.get((), np.array(0.0))
        average = graph.made_by(averages[0], "ReduceMean")
        if average is None or epsilon.size != 1 or not attributes(average).get("keepdims", 1):
            return None
        for tensor, mean in _squared(graph, average):
            shape = sizes.shape(tensor) if sizes.is_float32(tensor) else None
            axes = None if shape is None else _last_axes(graph, average, len(shape))
            if shape is None or axes is None or any(shape[axis].names for axis in axes):
                continue
            found = cls(tensor, mean, axes, float(epsilon.reshape(())), root)
            found.shape = tuple(shape[axis].number for axis in axes)
            return found
        return None

    def write(self, graph: OnnxGraph) -> None:
        """Replace the largest formula that is this normalisation, scaled and shifted by constants."""
        leaves = (self.tensor,) if self.mean is None else (self.tensor, self.mean)
        reader = Expressions(graph, leaves, inverse=self.root.output[0])
        last = None
        for name in consumers(graph, self.root.output[0], lambda name: self._fits(reader.read(name)) is not None):
            # Further than to a tensor that something else needs as well, it would be computed twice.
            if last is None or [node.output[0] for node in graph.readers(last)] == [name]:
                last = name
        fitting = None if last is None else self._fits(reader.read(last))
        if last is None or fitting is None:
            return
        scale, shift = fitting
        inputs = [self.tensor, graph.add_constant(scale)]
        if self.mean is None:
            kind = "RMSNormalization"
        else:
            kind = "LayerNormalization"
            inputs += [] if shift is None else [graph.add_constant(shift)]
        new = graph.add(kind, inputs, graph.maker(last), axis=self.axes[0], epsilon=self.epsilon)
        graph.replace(last, new)

    def _fits(self, formula: Polynomial) -> tuple[np.ndarray, np.ndarray | None] | None:
        """Return scale and shift of a formula that is this normalisation."""
        rest = dict(formula)
        scale = rest.pop(tuple(sorted((self.tensor, "1/"))), None)
        shift = rest.pop((), None)
        if scale is None or (shift is not None and self.mean is None):
            return None
        if self.mean is not None:
            other = rest.pop(tuple(sorted((self.mean, "1/"))), None)
            if other is None or not np.array_equal(-other, scale):
                return None
        gamma = self._vector(scale)
        beta = None if shift is None else self._vector(shift)
        if rest or gamma is None or (shift is not None and beta is None):
            return None
        return gamma, beta

    def _vector(self, value: np.ndarray) -> np.ndarray | None:
        while value.ndim > len(self.axes) and value.shape[0] == 1:
            value = value[0]
        if value.ndim > len(self.axes) or any(
            size not in (1, whole) for size, whole in zip(reversed(value.shape), reversed(self.shape), strict=False)
        ):
            return None  # it makes more of the tensor than it was
        return np.ascontiguousarray(np.broadcast_to(value, self.shape), np.float32)


def _squared(graph: OnnxGraph, average: Any) -> list[tuple[str, str | None]]:
    """Return what may be squared in a mean of squares: a tensor less its mean over the same axes, or a tensor."""
    node = graph.made_by(average.input[0], "Mul", "Pow")
    if node is None:
        return []
    if node.op_type == "Mul" and node.input[0] != node.input[1]:
        return []
    if node.op_type == "Pow" and graph.scalar(node.input[1]) != 2.0:
        return []
    base = node.input[0]
    difference = Expressions(graph, leaves=()).read(base)
    found: list[tuple[str, str | None]] = []
    for term in difference:
        mean = graph.made_by(term[0], "ReduceMean") if len(term) == 1 else None
        if mean is not None and _reduction(graph, mean) == _reduction(graph, average):
            leaves = (mean.input[0], term[0])
            less = Expressions(graph, leaves).read(base)
            if is_near(less, {(leaves[0],): 1.0, (leaves[1],): -1.0}):
                found.append((leaves[0], leaves[1]))
    return [*found, (base, None)]


def _reduction(graph: OnnxGraph, node: Any) -> tuple[list[int] | None, int]:
    axes = graph.constant(node.input[1]) if len(node.input) > 1 else None
    return (None if axes is None else axes.tolist()), attributes(node).get("keepdims", 1)


def _last_axes(graph: OnnxGraph, node: Any, rank: int) -> tuple[int, ...] | None:
    """Return the axes of a reduction if they are the last ones."""
    axes = _reduction(graph, node)[0]
    if axes is None:
        return None
    found = tuple(sorted(axis % rank for axis in axes))
    return found if found == tuple(range(rank - len(found), rank)) else None
