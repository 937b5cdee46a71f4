"""The Gaussian error linear unit, as one operator."""

from __future__ import annotations

import math
from typing import Any

from keras_nnx.export.conversion.fusion.expressions import Expressions, Polynomial, ancestors, consumers, is_near
from keras_nnx.export.conversion.fusion.graph import OnnxGraph
from keras_nnx.export.conversion.fusion.sizes import Sizes

GELU_OPSET = 20
_ROOT_HALF = math.sqrt(0.5)
_INNER = math.sqrt(2.0 / math.pi)
_CUBIC = 0.044715
_TOLERANCE = 1e-5


def fuse_gelus(graph: OnnxGraph) -> None:
    """Write every x * normal distribution(x), by the error function or by the usual tangent, as one Gelu."""
    sizes = Sizes(graph)
    for node in graph.nodes("Erf", "Tanh"):
        if not sizes.is_float32(node.input[0]):
            continue
        exact = node.op_type == "Erf"
        for tensor in (node.input[0], *ancestors(graph, node.input[0])):
            argument = Expressions(graph, (tensor,)).read(node.input[0])
            sign = _sign(argument, tensor, exact)
            if sign is not None and _write(graph, node, tensor, sign, exact):
                break


def _sign(argument: Polynomial, tensor: str, exact: bool) -> float | None:
    """Return 1 or -1 if the argument is what the formula has for x or -x."""
    for sign in (1.0, -1.0):
        if exact:
            wanted: dict[tuple[str, ...], float] = {(tensor,): sign * _ROOT_HALF}
        else:
            wanted = {(tensor,): sign * _INNER, (tensor,) * 3: sign * _INNER * _CUBIC}
        if is_near(argument, wanted, _TOLERANCE):
            return sign
    return None


def _write(graph: OnnxGraph, node: Any, tensor: str, sign: float, exact: bool) -> bool:
    value = node.output[0]
    reader = Expressions(graph, (tensor, value))
    wanted = {(tensor,): 0.5, tuple(sorted((tensor, value))): 0.5 * sign}
    for found in consumers(graph, value, lambda name: is_near(reader.read(name), wanted, _TOLERANCE)):
        new = graph.add("Gelu", [tensor], graph.maker(found), approximate="none" if exact else "tanh")
        graph.replace(found, new)
        return True
    return False
