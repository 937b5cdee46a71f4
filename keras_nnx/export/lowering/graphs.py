"""What a graph is made of, and what of it is needed."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

_COMPLEX64 = tf.complex64.as_datatype_enum
NOTE = "_keras_nnx"
"""The attribute of an operation in which a lowering leaves what its target has to know."""
_FLOAT = tf.compat.v1.AttrValue(type=tf.float32.as_datatype_enum)


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


def copied(operation: tf.Operation, inputs: Sequence[tf.Tensor], *, real: bool = False) -> Sequence[tf.Tensor]:
    """Write an operation again; `real` makes one over complex numbers one over real ones."""
    attributes = {
        key: value for key, value in operation.node_def.attr.items() if not key.startswith("_") or key == NOTE
    }
    if real:
        attributes = {key: _FLOAT if value.type == _COMPLEX64 else value for key, value in attributes.items()}
    graph: Any = tf.compat.v1.get_default_graph()
    return graph.create_op(
        operation.type,
        inputs,
        [tf.float32 if real and tensor.dtype.is_complex else tensor.dtype for tensor in operation.outputs],
        name=operation.name,
        attrs=attributes,
        op_def=operation.op_def,
    ).outputs


def origin(tensor: tf.Tensor) -> tf.Tensor:
    """Return where a tensor comes from through identities."""
    while tensor.op.type == "Identity":
        tensor = tensor.op.inputs[0]
    return tensor
