"""What is computed from weights alone is computed once, here, and not each time the model is called."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from keras_nnx.export.lowering.graphs import needed_operations, pruned
from keras_nnx.export.lowering.weights import is_large

_LARGER = 4
"""How many times as large as its weights a result may be: what only repeats them is left to be computed."""


def fold(
    graph: tf.Graph, weights: dict[str, np.ndarray], results: list[tf.Tensor]
) -> tuple[Any, dict[str, np.ndarray]]:
    """Return the definition of `graph` with operations on weights replaced by their values, and all weights.

    Args:
        graph: With placeholders for large weights.
        weights: Their values, by the names of the placeholders.
        results: The tensors that the graph is for.
    """
    graph_def = graph.as_graph_def()
    ends = _ends(graph, weights, results)
    if not ends:
        return graph_def, weights
    values = _values(graph_def, weights, ends)
    names = {}
    folded = dict(weights)
    written = {}
    for tensor, value in zip(ends, map(np.asarray, values), strict=True):
        name = tensor.op.name if tensor.value_index == 0 else f"{tensor.op.name}/output_{tensor.value_index}"
        names[f"{tensor.op.name}:{tensor.value_index}".removesuffix(":0")] = name
        written[name] = _node(name, value)
        if is_large(value):
            folded[name] = value
    return _replaced(graph_def, written, names), folded


def _values(graph_def: Any, weights: dict[str, np.ndarray], ends: list[tf.Tensor]) -> list[np.ndarray]:
    """Compute tensors in a graph of their own: a session refuses one that holds operators it has no kernel for."""
    needed = pruned(graph_def, [tensor.op.name for tensor in ends])
    present = {node.name for node in needed.node}
    with tf.Graph().as_default() as apart:
        tf.graph_util.import_graph_def(needed, name="")
        feeds = {f"{name}:0": value for name, value in weights.items() if name in present}
        with tf.compat.v1.Session(graph=apart, config=tf.compat.v1.ConfigProto(device_count={"GPU": 0})) as session:
            return session.run([tensor.name for tensor in ends], feeds)


def _ends(graph: tf.Graph, weights: dict[str, np.ndarray], results: list[tf.Tensor]) -> list[tf.Tensor]:
    """Return the tensors that are made of weights and constants alone, and read by what is not."""
    needed = needed_operations([tensor.op for tensor in results])
    last = {tensor.op.name for tensor in results}
    sizes: dict[str, int] = {}  # of the weights that an operation is made of; a constant is made of none
    ends: dict[str, tf.Tensor] = {}
    for operation in graph.get_operations():
        if operation not in needed:
            continue
        if operation.name in weights:
            sizes[operation.name] = weights[operation.name].size
        elif operation.type == "Const":
            sizes[operation.name] = 0
        elif operation.name not in last and _is_known(operation, sizes):
            sizes[operation.name] = sum(sizes[tensor.op.name] for tensor in operation.inputs)
        else:
            for tensor in operation.inputs:
                if sizes.get(tensor.op.name) and tensor.op.name not in weights:
                    ends[tensor.name] = tensor
    return list(ends.values())


def _is_known(operation: tf.Operation, sizes: dict[str, int]) -> bool:
    if not operation.inputs or operation.op_def.is_stateful or operation.control_inputs:
        return False
    if any(tensor.op.name not in sizes for tensor in operation.inputs):
        return False
    if any(attribute.HasField("func") or attribute.list.func for attribute in operation.node_def.attr.values()):
        return False
    size = sum(sizes[tensor.op.name] for tensor in operation.inputs)
    return size > 0 and all(
        tensor.shape.is_fully_defined()
        and tensor.dtype.is_numpy_compatible
        and tensor.shape.num_elements() <= _LARGER * size
        for tensor in operation.outputs
    )


def _node(name: str, value: np.ndarray) -> Any:
    node = tf.compat.v1.NodeDef(name=name, op="Placeholder" if is_large(value) else "Const")
    node.attr["dtype"].type = tf.as_dtype(value.dtype).as_datatype_enum
    if is_large(value):
        node.attr["shape"].shape.CopyFrom(tf.TensorShape(value.shape).as_proto())
    else:
        node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))
    return node


def _replaced(graph_def: Any, written: dict[str, Any], names: dict[str, str]) -> Any:
    """Return the definition with the nodes `written`, read by others under the `names` of what they replace."""
    result = tf.compat.v1.GraphDef()
    result.versions.CopyFrom(graph_def.versions)
    result.library.CopyFrom(graph_def.library)
    result.node.extend(written.values())
    for node in graph_def.node:
        if node.name in written:
            continue
        copy = result.node.add()
        copy.CopyFrom(node)
        copy.input[:] = [names.get(name, name) for name in node.input]
    return result
