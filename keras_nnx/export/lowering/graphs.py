"""What a graph is made of, and what of it is needed."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Table:
    """The contents of a lookup table."""

    keys: np.ndarray
    values: np.ndarray


@dataclasses.dataclass(frozen=True)
class FrozenGraph:
    """A graph without variables, and the tensors that stand for the inputs and outputs, by name.

    Large weights are not in it: `weights` has their values, by the names of the placeholders that stand for them.
    """

    graph_def: Any
    inputs: dict[str, str]
    outputs: dict[str, str]
    weights: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)


def needed_operations(start: list[tf.Operation]) -> set[tf.Operation]:
    """Return the operations whose data reach `start`; control dependencies order effects, and there are none."""
    needed: set[tf.Operation] = set()
    pending = list(start)
    while pending:
        operation = pending.pop()
        if operation not in needed:
            needed.add(operation)
            pending.extend(tensor.op for tensor in operation.inputs)
    return needed


def pruned(graph_def: Any, ends: list[str]) -> Any:
    """Return what the nodes `ends` need of a graph, in its order."""
    nodes = {node.name: node for node in graph_def.node}
    needed: set[str] = set()
    pending = list(ends)
    while pending:
        name = pending.pop()
        if name not in needed:
            needed.add(name)
            pending.extend(entry.lstrip("^").partition(":")[0] for entry in nodes[name].input)
    result = tf.compat.v1.GraphDef()
    result.versions.CopyFrom(graph_def.versions)
    result.library.CopyFrom(graph_def.library)
    result.node.extend(node for node in graph_def.node if node.name in needed)
    return result


def axis_size(x: tf.Tensor, axis: int) -> tf.Tensor:
    """Return the size of an axis: a constant where it is known."""
    return tf.constant(x.shape[axis]) if x.shape[axis] is not None else tf.shape(x)[axis]
