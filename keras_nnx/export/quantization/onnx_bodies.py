"""Weights in the bodies of loops and in branches: moved out of them, to where all other weights are."""

from __future__ import annotations

import collections
import math
from collections.abc import Iterator
from typing import Any

from keras_nnx.export.inspection import inner_graphs
from keras_nnx.export.quantization import SMALLEST

PRODUCTS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
"""The operators that carry weights."""


def is_large(value: Any) -> bool:
    """Whether an initializer has enough floats for a lower precision to save something."""
    from onnx import TensorProto

    return bool(value.data_type == TensorProto.FLOAT and math.prod(value.dims) >= SMALLEST)


def hoist_weights(graph: Any) -> None:
    """Move the large weights of the graphs in a graph into the graph itself: they see what is around them.

    What is also a result stays, since a body has to make its results, and so does what shares its name with something
    in another graph.
    """
    names = collections.Counter(name for some in (graph, *inner_graphs(graph)) for name in _defined(some))
    for inner in inner_graphs(graph):
        results = {value.name for value in inner.output}
        free = [is_large(value) and names[value.name] == 1 and value.name not in results for value in inner.initializer]
        graph.initializer.extend(value for value, moves in zip(inner.initializer, free, strict=True) if moves)
        kept = [_copy(value) for value, moves in zip(inner.initializer, free, strict=True) if not moves]
        del inner.initializer[:]
        inner.initializer.extend(kept)


def _defined(graph: Any) -> Iterator[str]:
    """Yield the names that a graph gives to tensors."""
    yield from (value.name for values in (graph.input, graph.initializer) for value in values)
    yield from (name for node in graph.node for name in node.output if name)


def _copy(value: Any) -> Any:
    copy = type(value)()
    copy.CopyFrom(value)
    return copy
