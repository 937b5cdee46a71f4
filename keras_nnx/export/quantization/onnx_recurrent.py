"""Weights in int8 that are computed with in float: where the quantisers of ONNX Runtime do not look.

They pass by the recurrent operators, and by all that is in the body of a loop or in a branch.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np

from keras_nnx.export.inspection import inner_graphs, onnx_nodes
from keras_nnx.export.quantization.onnx_bodies import PRODUCTS, hoist_weights, is_large

OPERATORS = ("LSTM", "GRU", "RNN")
_WEIGHTS = (1, 2)
"""Which inputs are the kernels: one for the inputs, one for the states. Biases stay in float."""
_LARGEST = 127


def quantize_recurrent(graph: Any, kept: Collection[str] = ()) -> None:
    """Store the kernels of recurrent operators, and of products in loops and branches, in int8.

    Each has a scale for each row of each gate, or for each channel. They are widened once a call, outside of loops: the
    operators compute in float.

    Args:
        graph: Of an ONNX model.
        kept: Names of the operators that stay as they are.
    """
    hoist_weights(graph)
    values = {value.name: value for value in graph.initializer}
    widened: dict[str, Any] = {}
    for node, place, axis in list(_kernels(graph)):
        if node.name in kept:
            continue
        name = node.input[place]
        if name not in widened:
            widened[name] = _widened(graph, values[name], axis)
        node.input[place] = widened[name].output[0]
    nodes = [*widened.values(), *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    still = {name for node in onnx_nodes(graph) for name in node.input} | {value.name for value in graph.output}
    left = [value for value in graph.initializer if value.name in still or value.name not in widened]
    del graph.initializer[:]
    graph.initializer.extend(left)


def with_kernels(graph: Any) -> list[str]:
    """Return the names of the operators that `quantize_recurrent` has something to do for."""
    hoist_weights(graph)
    return list(dict.fromkeys(node.name for node, _, _ in _kernels(graph)))


def _kernels(graph: Any) -> Iterator[tuple[Any, int, int]]:
    """Yield the operators that are looked for, with the places of their kernels and the axes of the scales."""
    values = {value.name: value for value in graph.initializer}
    for node in onnx_nodes(graph):
        if node.op_type in OPERATORS:
            yield from ((node, place, 1) for place in _WEIGHTS if node.input[place] in values)
    for inner in inner_graphs(graph):
        for node in inner.node:
            for place, name in enumerate(node.input[:2] if node.op_type in PRODUCTS else ()):
                if name in values and is_large(values[name]) and len(values[name].dims) > 1:
                    yield node, place, _channels(node, place, len(values[name].dims))


def _channels(node: Any, place: int, rank: int) -> int:
    """Return the axis of a weight that becomes the channels of what is computed."""
    if node.op_type == "MatMul":
        return rank - 1 if place else rank - 2
    if node.op_type == "Gemm":
        turned = any(attribute.i for attribute in node.attribute if attribute.name == ("transA", "transB")[place])
        return int(bool(place) != turned)
    return int(node.op_type == "ConvTranspose")


def _widened(graph: Any, value: Any, axis: int) -> Any:
    """Put a weight in int8 into a graph, and return the node that makes floats of it."""
    from onnx import helper, numpy_helper

    weight = numpy_helper.to_array(value)
    others = tuple(other for other in range(weight.ndim) if other != axis)
    scale = np.abs(weight).max(axis=others) / _LARGEST
    scale = np.where(scale > 0, scale, 1).astype(np.float32)
    whole = np.round(weight / np.expand_dims(scale, others)).astype(np.int8)
    parts = {"int8": whole, "scale": scale, "zero": np.zeros_like(scale, np.int8)}
    graph.initializer.extend(numpy_helper.from_array(part, f"{value.name}__{key}") for key, part in parts.items())
    read = [f"{value.name}__{key}" for key in parts]
    name = f"{value.name}__widened"
    return helper.make_node("DequantizeLinear", read, [name], name, axis=axis)
