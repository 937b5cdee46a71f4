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
    _share_results(graph)
    constants = {value.name: value for value in graph.initializer}
    nodes = sorted_nodes(graph)
    used: dict[str, Any] = {}
    readers = collections.Counter(name for node in nodes for name in _needs(node))
    own = {name for name in constants if readers[name] == 1}  # of equal constants one is left, whichever it was
    for node in nodes:
        kind = f"{_layer(node, own, model)}/{node.op_type}".lstrip("/")
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


def _share_results(graph: Any) -> None:
    """Let the first of several results that are one tensor be that tensor, and the others copies of it."""
    from onnx import helper

    makers = {name: node for node in graph.node for name in node.output if name}
    sources = {name: source for name in makers if (source := _source(name, makers)) in makers}
    results: dict[str, list[str]] = {}
    for place, value in enumerate(graph.output):
        if value.name in sources:
            same = results.setdefault(sources[value.name], [])
            if value.name in same:  # the body of a loop may return a tensor twice
                value.name = f"{value.name}__{place}"
            same.append(value.name)
    names = {source: results.get(source, [source])[0] for source in sources.values()}
    kept = [node for node in graph.node if node.op_type != "Identity" or node.output[0] not in sources]
    copies = [
        helper.make_node("Identity", [same[0]], [name], name=makers[source].name)
        for source, same in results.items()
        for name in same[1:]
    ]
    for node in kept:
        node.output[:] = [names.get(name, name) for name in node.output]
    kept = [_copy(node) for node in kept]
    del graph.node[:]
    graph.node.extend([*kept, *copies])
    _read_as(graph, {name: names[source] for name, source in sources.items()}, but=len(kept))


def _source(name: str, makers: dict[str, Any]) -> str:
    """Return what a tensor is a copy of."""
    while name in makers and makers[name].op_type == "Identity":
        name = makers[name].input[0]
    return name


def _read_as(graph: Any, names: dict[str, str], but: int | None = None) -> None:
    """Let the nodes of a graph up to the place `but`, and the graphs in them, read tensors under other names."""
    for node in graph.node[:but]:
        node.input[:] = [names.get(name, name) for name in node.input]
        for attribute in node.attribute:
            if attribute.HasField("g"):
                _read_as(attribute.g, names)
                own = {name for inner in attribute.g.node for name in inner.output}
                for value in attribute.g.output:
                    value.name = value.name if value.name in own else names.get(value.name, value.name)


def _layer(node: Any, own: set[str], model: keras.Model) -> str:
    """Return the layer of a node: by its own name, or, if tf2onnx made it, by that of constants that only it reads."""
    names = [node.name, *(name for name in node.input if name in own)]
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
        for dimension in value.type.tensor_type.shape.dim:
            dimension.ClearField("dim_param")  # numbered by all that was converted before


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
