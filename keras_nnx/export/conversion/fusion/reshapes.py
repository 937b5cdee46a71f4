"""Reshapes to shapes that need not be computed when the model runs."""

from __future__ import annotations

import numpy as np

from keras_nnx.export.conversion.fusion.graph import OnnxGraph
from keras_nnx.export.conversion.fusion.sizes import Shape, Size, Sizes

_END = 10**9
"""What tf2onnx writes for the end of an axis."""


def fix_reshapes(graph: OnnxGraph) -> None:
    """Give every reshape a constant shape where one says the same: 0 for a size that stays, -1 for one other."""
    sizes = Sizes(graph)
    for node in graph.nodes("Reshape"):
        before, after = sizes.shape(node.input[0]), sizes.reshaped(node)
        if before is None or after is None:
            continue
        wanted = _constant_shape(before, after)
        known = graph.constant(node.input[1])
        if wanted is not None and (known is None or not np.array_equal(known, wanted)):
            graph.read_instead(node, 1, graph.add_constant(wanted))


def drop_whole_slices(graph: OnnxGraph) -> None:
    """Read past slices that take everything, which are left of indexing with new axes."""
    sizes = Sizes(graph)
    for node in graph.nodes("Slice"):
        shape = sizes.shape(node.input[0])
        known = [value for name in node.input[1:] if (value := graph.constant(name)) is not None]
        if shape is None or len(known) < len(node.input) - 1:
            continue
        starts, ends = known[:2]
        axes = known[2] if len(known) > 2 else np.arange(len(starts))
        steps = known[3] if len(known) > 3 else np.ones(1)
        most = [_END if shape[axis].names else shape[axis].number for axis in axes]
        if not np.any(starts) and np.all(steps == 1) and np.all(ends >= most):
            graph.bypass(node)


def add_before_reshapes(graph: OnnxGraph) -> None:
    """Add a bias for each head before the heads are split from the channels, where it is one vector."""
    sizes = Sizes(graph)
    for node in graph.nodes("Add"):
        for data, constant in (tuple(node.input), tuple(reversed(node.input))):
            reshape, bias = graph.made_by(data, "Reshape"), graph.constant(constant)
            if reshape is None or bias is None:
                continue
            before, after = sizes.shape(reshape.input[0]), sizes.shape(data)
            vector = None if before is None or after is None else _along_last(bias, before, after)
            if vector is not None:
                added = graph.add("Add", [reshape.input[0], graph.add_constant(vector)], node)
                graph.replace(node.output[0], graph.add("Reshape", [added, reshape.input[1]], reshape))
                break


def _constant_shape(before: Shape, after: Shape) -> np.ndarray | None:
    wanted = []
    for axis, size in enumerate(after):
        if axis < len(before) and size == before[axis] and size.names:
            wanted.append(0)
        else:
            wanted.append(-1 if size.names else size.number)
    # A size of no elements could not be told from one that stays.
    return None if wanted.count(-1) > 1 or Size(0) in after else np.array(wanted, np.int64)


def _along_last(bias: np.ndarray, before: Shape, after: Shape) -> np.ndarray | None:
    """Return the bias as a vector along the last axis of `before`, which a reshape splits into the last of `after`."""
    if before[:-1] != after[: len(before) - 1] or any(size.names for size in after[len(before) - 1 :]):
        return None
    split = tuple(size.number for size in after[len(before) - 1 :])
    while bias.ndim > len(split) and bias.shape[0] == 1:
        bias = bias[0]
    if len(split) < 2 or bias.ndim > len(split):
        return None
    if any(size not in (1, whole) for size, whole in zip(reversed(bias.shape), reversed(split), strict=False)):
        return None
    return np.broadcast_to(bias, split).reshape(-1)
