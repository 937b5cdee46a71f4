"""The walk that writes a frozen graph anew: only what the outputs need, calls inlined, operators decomposed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.framework.function_def_to_graph import function_def_to_graph

from keras_nnx.export.errors import ExportError, UnsupportedOperatorError
from keras_nnx.export.layer_paths import layer_path
from keras_nnx.export.lowering import complex_numbers
from keras_nnx.export.lowering.bodies import write_branch, write_loop
from keras_nnx.export.lowering.folding import fold
from keras_nnx.export.lowering.graphs import FrozenGraph, copied, needed_operations, pruned
from keras_nnx.export.lowering.operators import decomposition
from keras_nnx.export.lowering.weights import Variable, Weights

_COMPLEX = "It computes with complex numbers, which no target has: keep the real and the imaginary part apart."
_READS = ("ReadVariableOp", "ResourceGather", "ResourceGatherNd", "VariableShape")
_CALLS = ("PartitionedCall", "StatefulPartitionedCall")
_LOOPS = ("While", "StatelessWhile")
_BRANCHES = ("If", "StatelessIf", "Case", "StatelessCase")


def rewrite(
    graph: tf.Graph,
    inputs: dict[str, tf.Tensor],
    outputs: dict[str, tf.Tensor],
    target: str,
    model: keras.Model | None = None,
    captures: dict[str, Any] | None = None,
) -> FrozenGraph:
    """Return `graph` written anew for `target`.

    Whatever no output needs is left out (assertions, prints, random numbers that inference does not use); calls of
    functions are inlined, those that XLA was to compile included; a branch on a known condition is decided; and every
    operator with a decomposition for `target` is replaced by it, in the bodies of loops and branches too.

    Args:
        graph: The graph of a concrete function.
        inputs: Its placeholders by the names that they get.
        outputs: Its results by the names that they get.
        target: `"onnx"` or `"tflite"`.
        model: The model that was traced, to name its layers.
        captures: Arrays, variables or tables that the other placeholders stand for, by the names of their operations.
    """
    with tf.Graph().as_default() as result:
        weights = Weights()
        walk = _Walk(graph, target, model, weights)
        mapping: dict[Any, Any] = {}
        for index, tensor in enumerate(inputs.values()):
            mapping[tensor.ref()] = tf.compat.v1.placeholder(tensor.dtype, tensor.shape, name=f"argument_{index}")
        there = {operation.name for operation in graph.get_operations()}
        for name, value in (captures or {}).items():
            if name not in there:
                continue  # no output needs it
            known = weights.constant(value, name) if isinstance(value, np.ndarray) else value
            mapping[graph.get_operation_by_name(name).outputs[0].ref()] = known
        written = walk.body(graph, mapping, list(outputs.values()))
        # An identity each: an input that is passed through, or one result under two names, are results of their own.
        results = [tf.identity(tensor, name=f"result_{index}") for index, tensor in enumerate(written)]
    placeholders = {name: mapping[tensor.ref()] for name, tensor in inputs.items()}
    # A decomposition may read past the operator before it, which is then needed no more.
    ends = [tensor.op.name for tensor in (*placeholders.values(), *results)]
    graph_def, values = fold(result, weights.values, results)
    graph_def = pruned(graph_def, ends)
    present = {node.name for node in graph_def.node}
    return FrozenGraph(
        graph_def=graph_def,
        inputs={name: tensor.name for name, tensor in placeholders.items()},
        outputs={name: tensor.name for name, tensor in zip(outputs, results, strict=True)},
        weights={name: value for name, value in values.items() if name in present},
    )


class _Walk:
    """Writes bodies into the default graph; knows the functions of the graph that it reads."""

    def __init__(self, source: tf.Graph, target: str, model: keras.Model | None, weights: Weights) -> None:
        self._weights = weights
        self._model = model
        self._source = source
        self._library = {function.signature.name: function for function in source.as_graph_def().library.function}
        self.target = target

    def body(self, source: tf.Graph, mapping: dict[Any, Any], outputs: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Write what `outputs` need of `source`, with `mapping` from its tensors to those already written."""
        needed = needed_operations([tensor.op for tensor in outputs])
        for operation in source.get_operations():
            if operation not in needed or all(tensor.ref() in mapping for tensor in operation.outputs):
                continue
            written = self._write(operation, [mapping[tensor.ref()] for tensor in operation.inputs])
            for old, new in zip(operation.outputs, written, strict=True):
                mapping[old.ref()] = new
        return [mapping[tensor.ref()] for tensor in outputs]

    def _write(self, operation: tf.Operation, inputs: list[tf.Tensor]) -> Sequence[tf.Tensor]:
        if operation.type in _READS and isinstance(inputs[0], Variable):
            return [self._read(operation, *inputs)]
        if operation.type == "Identity" and not isinstance(inputs[0], tf.Tensor):
            return inputs  # a table or a variable
        if operation.type in _CALLS:
            with tf.name_scope(f"{operation.name}/"):
                return self.inline(operation.get_attr("f").name, inputs)
        if complex_numbers.is_complex(operation):
            written = complex_numbers.write(operation, inputs, copied)
            if written is None:
                raise UnsupportedOperatorError(
                    layer_path(self._model, operation.name), operation.type, self.target, _COMPLEX
                )
            return written
        if operation.type in _LOOPS:
            return write_loop(self, operation, inputs)
        if operation.type in _BRANCHES:
            return write_branch(self, operation, inputs)
        return self._decompose(operation, inputs)

    def _decompose(self, operation: tf.Operation, inputs: list[tf.Tensor]) -> Sequence[tf.Tensor]:
        if any(isinstance(value, Variable) for value in inputs):
            raise UnsupportedOperatorError(
                layer_path(self._model, operation.name),
                operation.type,
                self.target,
                "It works on a variable, which a file does not have: read its value first.",
            )
        replace = decomposition(operation.type, self.target)
        if replace is None:
            return copied(operation, inputs)
        with tf.name_scope(f"{operation.name}/"):
            written = replace(operation, *inputs)
        if written is NotImplemented:
            return copied(operation, inputs)
        if not isinstance(written, list | tuple) or len(written) != len(operation.outputs):
            raise ExportError(
                f"The decomposition of {operation.type} has to return a list of {len(operation.outputs)} tensors, one "
                f"for each output of {operation.name!r}, but returned {type(written).__name__}."
            )
        return written

    def _read(self, operation: tf.Operation, variable: Variable, *indices: tf.Tensor) -> Any:
        """Return what an operation reads of a variable."""
        if operation.type == "VariableShape":
            return tf.constant(variable.value.shape.as_list(), operation.outputs[0].dtype)
        value = self._weights.read(variable, operation.name)
        if operation.type == "ReadVariableOp":
            return value
        if operation.type == "ResourceGather":
            batch = operation.get_attr("batch_dims")
            gathered = tf.raw_ops.GatherV2(
                params=value, indices=indices[0], axis=batch, batch_dims=batch, name=operation.name
            )
            return self._decompose(gathered.op, list(gathered.op.inputs))[0]
        return tf.raw_ops.GatherNd(params=value, indices=indices[0], name=operation.name)

    def graph(self, name: str) -> Any:
        """Return the body of a function, as it was."""
        with self._source.as_default():
            return function_def_to_graph(self._library[name])

    def inline(self, name: str, inputs: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Write the body of a function anew, where it is called."""
        graph = self.graph(name)
        mapping = {old.ref(): new for old, new in zip(graph.inputs, inputs, strict=True)}
        return self.body(graph, mapping, graph.outputs)
