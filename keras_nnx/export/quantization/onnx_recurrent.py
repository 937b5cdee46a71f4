"""Weights of recurrent operators of ONNX in int8: the quantisers of ONNX Runtime leave them in float."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

OPERATORS = ("LSTM", "GRU", "RNN")
_WEIGHTS = (1, 2)
"""Which inputs are the kernels: one for the inputs, one for the states. Biases stay in float."""
_LARGEST = 127


def quantize_recurrent(graph: Any, kept: Collection[str] = ()) -> None:
    """Store the kernels of recurrent operators in int8, with a scale for each row of each gate.

    They are widened when the file is loaded: the operators compute in float.

    Args:
        graph: Of an ONNX model.
        kept: Names of the operators that stay as they are.
    """
    from onnx import helper, numpy_helper

    values = {value.name: value for value in graph.initializer}
    widened: dict[str, Any] = {}
    for node in graph.node:
        if node.op_type not in OPERATORS or node.name in kept:
            continue
        for place in _WEIGHTS:
            name = node.input[place]
            if name not in values:
                continue
            if name not in widened:
                weight = numpy_helper.to_array(values[name])
                scale = np.abs(weight).max(axis=(0, 2)) / _LARGEST
                scale = np.where(scale > 0, scale, 1).astype(np.float32)
                whole = np.round(weight / scale[None, :, None]).astype(np.int8)
                parts = {"int8": whole, "scale": scale, "zero": np.zeros_like(scale, np.int8)}
                graph.initializer.extend(numpy_helper.from_array(part, f"{name}__{key}") for key, part in parts.items())
                written = f"{name}__widened"
                read = [f"{name}__{key}" for key in parts]
                widened[name] = helper.make_node("DequantizeLinear", read, [written], written, axis=1)
            node.input[place] = f"{name}__widened"
    nodes = [*widened.values(), *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    still = {name for node in graph.node for name in node.input}
    left = [value for value in graph.initializer if value.name in still or value.name not in widened]
    del graph.initializer[:]
    graph.initializer.extend(left)
