"""Arithmetic in a normal form, so that a formula is known by what it says and not by how it is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from keras_nnx.export.conversion.fusion.graph import OnnxGraph

Term = tuple[str, ...]
Polynomial = dict[Term, np.ndarray]
"""From products of tensors (in order, once for each time they occur) to what they are multiplied by."""
_MOST_TERMS = 8
_DEEPEST = 10
_ARITHMETIC = ("Add", "Sub", "Mul", "Div", "Neg", "Pow", "Identity", "Reciprocal")


class Expressions:
    """Reads tensors of a graph as sums of products.

    Args:
        graph: The graph.
        leaves: Tensors that are not looked into.
        inverse: A tensor by which is divided; one over it is the leaf `"1/"`.
    """

    def __init__(self, graph: OnnxGraph, leaves: tuple[str, ...] = (), inverse: str | None = None) -> None:
        self._graph = graph
        self._leaves = leaves
        self._inverse = inverse

    def read(self, name: str, depth: int = 0) -> Polynomial:
        """Return what a tensor is, in terms of the leaves and of whatever else it is made of."""
        value = self._graph.constant(name)
        if value is not None:
            return {(): value.astype(np.float64)} if value.dtype.kind == "f" else {(name,): np.array(1.0)}
        itself: Polynomial = {(name,): np.array(1.0)}
        node = self._graph.made_by(name, *_ARITHMETIC)
        if name in self._leaves or node is None or depth == _DEEPEST:
            return itself
        found = self._compute(node.op_type, list(node.input), depth + 1)
        return itself if found is None or len(found) > _MOST_TERMS else found

    def _compute(self, kind: str, names: list[str], depth: int) -> Polynomial | None:
        if kind == "Reciprocal":
            return {("1/",): np.array(1.0)} if names[0] == self._inverse else None
        first = self.read(names[0], depth)
        if kind in ("Identity", "Neg"):
            return first if kind == "Identity" else _scale(first, -1.0)
        if kind == "Div" and names[1] == self._inverse:
            return _multiply(first, {("1/",): np.array(1.0)})
        if kind == "Pow":
            return _power(first, self._graph.scalar(names[1]))
        second = self.read(names[1], depth)
        if kind in ("Add", "Sub"):
            return _sum(first, second if kind == "Add" else _scale(second, -1.0))
        if kind == "Mul":
            return _multiply(first, second)
        known = second.get(()) if len(second) == 1 else None
        return None if known is None or not np.all(known) else _multiply(first, {(): 1.0 / known})


def consumers(
    graph: OnnxGraph, name: str, accept: Callable[[str], bool], kinds: tuple[str, ...] = _ARITHMETIC
) -> Iterator[str]:
    """Yield the tensors made from `name` by arithmetic that are accepted, the nearest first."""
    level, seen = [name], {name}
    for _ in range(_DEEPEST):
        following = []
        for one in level:
            for node in graph.readers(one):
                if node.op_type in kinds and node.output[0] not in seen:
                    seen.add(node.output[0])
                    following.append(node.output[0])
        yield from (one for one in following if accept(one))
        level = following


def ancestors(graph: OnnxGraph, name: str) -> Iterator[str]:
    """Yield what a tensor is made of by arithmetic, the nearest first."""
    level, seen = [name], {name}
    for _ in range(_DEEPEST):
        following = []
        for one in level:
            node = graph.made_by(one, *_ARITHMETIC)
            for needed in node.input if node is not None else ():
                if needed not in seen and graph.constant(needed) is None:
                    seen.add(needed)
                    following.append(needed)
        yield from following
        level = following


def is_near(polynomial: Polynomial, wanted: dict[Term, float], tolerance: float = 1e-6) -> bool:
    """Whether a polynomial has just the wanted terms, with these numbers, each one number and not a tensor of it."""
    return set(polynomial) == set(wanted) and all(
        polynomial[term].size == 1 and np.allclose(polynomial[term], number, rtol=tolerance, atol=0.0)
        for term, number in wanted.items()
    )


def _scale(polynomial: Polynomial, number: float) -> Polynomial:
    return {term: value * number for term, value in polynomial.items()}


def _power(base: Polynomial, exponent: float | None) -> Polynomial | None:
    if exponent not in (1.0, 2.0, 3.0):
        return None
    result: Polynomial | None = base
    for _ in range(int(exponent) - 1):
        result = None if result is None else _multiply(result, base)
    return result


def _sum(first: Polynomial, second: Polynomial) -> Polynomial | None:
    result = dict(first)
    for term, value in second.items():
        if term in result and not _fit(result[term], value):
            return None
        result[term] = result[term] + value if term in result else value
    return result


def _multiply(first: Polynomial, second: Polynomial) -> Polynomial | None:
    if len(first) * len(second) > _MOST_TERMS:
        return None
    result: Polynomial | None = {}
    for one, a in first.items():
        for other, b in second.items():
            if result is None or not _fit(a, b):
                return None
            result = _sum(result, {tuple(sorted((*one, *other))): a * b})
    return result


def _fit(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether two constants can be combined; an outer product of large ones is not what a formula has."""
    try:
        return np.broadcast(first, second).size <= max(first.size, second.size)
    except ValueError:
        return False
