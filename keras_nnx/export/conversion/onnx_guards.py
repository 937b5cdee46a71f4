"""What ONNX Runtime's own optimizer gets wrong, written so that it leaves it alone."""

from __future__ import annotations

from typing import Any

import numpy as np


def guard(graph: Any) -> None:
    """Protect a graph, and the graphs in it.

    ONNX Runtime (1.31) merges a padding with zeros into the maximum pooling behind it, which pads with minus infinity:
    wrong wherever a window at the border has negative values only. A padding that names its axes is not merged.
    """
    from onnx import numpy_helper

    pooled = {node.input[0] for node in graph.node if node.op_type == "MaxPool"}
    constants = {value.name: value for value in graph.initializer}
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                guard(attribute.g)
        if node.op_type == "Pad" and node.output[0] in pooled and len(node.input) < 4 and node.input[1] in constants:
            rank = constants[node.input[1]].dims[0] // 2
            name = f"{node.output[0]}__axes"
            graph.initializer.append(numpy_helper.from_array(np.arange(rank), name))
            node.input.extend([""] * (3 - len(node.input)) + [name])
