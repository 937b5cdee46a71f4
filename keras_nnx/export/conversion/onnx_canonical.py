"""One order and one set of names for a graph, whatever order its nodes were made in.

tf2onnx names and sorts by memory addresses and hashes of strings, so that two exports of the same weights differ.
"""

from __future__ import annotations

import collections
from collections.abc import Iterator
from typing import Any

import keras

from keras_nnx.export.layer_paths import layer_path


def canonicalize(graph: Any, model: keras.Model) -> None:
    """Sort the nodes of an ONNX graph by their way to its outputs, and name them by their layers.

    Nodes and constants that no output needs are dropped. Inputs and outputs keep their names.
    """
    counts: collections.Counter[str] = collections.Counter()
    names = {value.name: value.name for value in (*graph.input, *graph.output)}
    _rewrite(graph, model, names, counts)


def _rewrite(graph: Any, model: keras.Model, names: dict[str, str], counts: collections.Counter[str]) -> None:
    """Sort and name one graph; `names` has what it takes from around it, and its own inputs and outputs."""
    constants = {value.name: value for value in graph.initializer}
    nodes = sorted_nodes(graph)
    used: dict[str, Any] = {}
    for node in nodes:
        kind = f"{_layer(node, constants, model)}/{node.op_type}".lstrip("/")
        counts[kind] += 1
        node.name = f"{kind}_{counts[kind]}"
        node.doc_string = ""
        for place, name in enumerate(_needs(node)):
            if name in constants and name not in used:
                names[name] = names.get(name, f"{node.name}.{place}")
                used[name] = constants[name]
        for place, name in enumerate(node.output):
            if name:
                names.setdefault(name, f"{node.name}:{place}")
        _rewrite_node(node, model, names, counts)
    for value in graph.output:  # a constant may be a result
        if value.name in constants:
            used.setdefault(value.name, constants[value.name])
    for name, value in used.items():
        value.name = names.get(name, name)
    kept_constants, kept_nodes = [_copy(value) for value in used.values()], [_copy(node) for node in nodes]
    del graph.initializer[:], graph.node[:], graph.value_info[:]
    graph.initializer.extend(kept_constants)
    graph.node.extend(kept_nodes)


def _layer(node: Any, constants: dict[str, Any], model: keras.Model) -> str:
    """Return the layer of a node: by its own name, or, if tf2onnx made it, by that of its weights."""
    names = [node.name, *(name for name in node.input if name in constants)]
    return next((path for name in names if (path := layer_path(model, name))), "")


def _rewrite_node(node: Any, model: keras.Model, names: dict[str, str], counts: collections.Counter[str]) -> None:
    """Give a node, and the graphs in it, the names of what they read and write."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            _rewrite_inner(attribute, node.name, model, names, counts)
    node.input[:] = [names.get(name, name) for name in node.input]
    node.output[:] = [names.get(name, name) for name in node.output]


def _rewrite_inner(
    attribute: Any, owner: str, model: keras.Model, names: dict[str, str], counts: collections.Counter[str]
) -> None:
    """Sort and name the graph in an attribute of the node `owner`."""
    inner = dict(names)
    graph = attribute.g
    graph.name = f"{owner}/{attribute.name}"
    for kind, values in (("input", graph.input), ("output", graph.output)):
        for place, value in enumerate(values):
            if kind == "input" or value.name not in names:
                inner[value.name] = f"{owner}/{attribute.name}/{kind}_{place}"
    _rewrite(graph, model, inner, counts)
    for value in (*graph.input, *graph.output):
        value.name = inner.get(value.name, value.name)


def sorted_nodes(graph: Any) -> list[Any]:
    """Return the nodes that the outputs need, each after those that it needs, depth first."""
    makers = {name: node for node in graph.node for name in node.output if name}
    result: list[Any] = []
    seen: set[int] = set()
    for value in graph.output:
        if value.name not in makers:
            continue
        pending: list[tuple[Any, Iterator[str]]] = []
        _enter(makers[value.name], seen, pending)
        while pending:
            node, needs = pending[-1]
            name = next(needs, None)
            if name is None:
                result.append(node)
                pending.pop()
            elif name in makers:
                _enter(makers[name], seen, pending)
    return result


def _enter(node: Any, seen: set[int], pending: list[tuple[Any, Iterator[str]]]) -> None:
    if id(node) not in seen:
        seen.add(id(node))
        pending.append((node, iter(_needs(node))))


def _needs(node: Any) -> list[str]:
    """Return what a node reads, and what the graphs in it read from around them, in order."""
    found = dict.fromkeys(name for name in node.input if name)
    for attribute in node.attribute:
        if attribute.HasField("g"):
            graph = attribute.g
            own = {value.name for value in (*graph.input, *graph.initializer)}
            own |= {name for inner in graph.node for name in inner.output}
            for inner in graph.node:
                found |= dict.fromkeys(name for name in _needs(inner) if name not in own)
            found |= dict.fromkeys(value.name for value in graph.output if value.name not in own)
    return list(found)


def _copy(value: Any) -> Any:
    copy = type(value)()
    copy.CopyFrom(value)
    return copy
