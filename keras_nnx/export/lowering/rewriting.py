"""The walk that writes a frozen graph anew: only what the outputs need, calls inlined, operators decomposed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.framework.function_def_to_graph import function_def_to_graph

from keras_nnx.export.errors import ExportError, UnsupportedOperatorError
from keras_nnx.export.layer_paths import layer_path
from keras_nnx.export.lowering import complex_numbers
from keras_nnx.export.lowering.folding import fold
from keras_nnx.export.lowering.graphs import FrozenGraph, needed_operations, pruned
from keras_nnx.export.lowering.operators import decomposition
from keras_nnx.export.lowering.weights import Variable, Weights

_COMPLEX64 = tf.complex64.as_datatype_enum
_FLOAT = tf.compat.v1.AttrValue(type=tf.float32.as_datatype_enum)
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
        self._target = target

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
                return self._inline(operation.get_attr("f").name, inputs)
        if complex_numbers.is_complex(operation):
            written = complex_numbers.write(operation, inputs, _copy)
            if written is None:
                raise UnsupportedOperatorError(
                    layer_path(self._model, operation.name), operation.type, self._target, _COMPLEX
                )
            return written
        if operation.type in _LOOPS:
            return self._loop(operation, inputs)
        if operation.type in _BRANCHES:
            return self._branch(operation, inputs)
        return self._decompose(operation, inputs)

    def _decompose(self, operation: tf.Operation, inputs: list[tf.Tensor]) -> Sequence[tf.Tensor]:
        if any(isinstance(value, Variable) for value in inputs):
            raise UnsupportedOperatorError(
                layer_path(self._model, operation.name),
                operation.type,
                self._target,
                "It works on a variable, which a file does not have: read its value first.",
            )
        replace = decomposition(operation.type, self._target)
        if replace is None:
            return _copy(operation, inputs)
        with tf.name_scope(f"{operation.name}/"):
            written = replace(operation, *inputs)
        if written is NotImplemented:
            return _copy(operation, inputs)
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

    def _graph(self, name: str) -> Any:
        with self._source.as_default():
            return function_def_to_graph(self._library[name])

    def _inline(self, name: str, inputs: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        graph = self._graph(name)
        mapping = {old.ref(): new for old, new in zip(graph.inputs, inputs, strict=True)}
        return self.body(graph, mapping, graph.outputs)

    def _function(
        self,
        name: str,
        inputs: Sequence[tf.Tensor],
        constants: dict[int, tf.Tensor],
        finish: Callable[..., Sequence[tf.Tensor]] | None = None,
        extra: Sequence[tf.TensorSpec] = (),
    ) -> Any:
        """Return the function `name`, written anew.

        Args:
            name: In the library.
            inputs: Tensors that have the shapes and dtypes of its arguments.
            constants: Arguments that are put into the function instead, by their place: an argument has no value and
                often no shape for a converter, which for a kernel it has to have.
            finish: From the extra arguments and the results to what is returned.
            extra: Arguments that come before the others, for `finish` only.
        """
        varying = [index for index in range(len(inputs)) if index not in constants]

        def run(*arguments: tf.Tensor) -> Sequence[tf.Tensor]:
            before, values = arguments[: len(extra)], dict(zip(varying, arguments[len(extra) :], strict=True))
            values |= {index: _again(value) for index, value in constants.items()}
            results = self._inline(name, [values[index] for index in range(len(inputs))])
            return results if finish is None else finish(before, results)

        specifications = [*extra, *(tf.TensorSpec(inputs[index].shape, inputs[index].dtype) for index in varying)]
        return tf.function(run, autograph=False).get_concrete_function(*specifications)

    def _loop(self, operation: tf.Operation, inputs: list[tf.Tensor]) -> Sequence[tf.Tensor]:
        condition_name, body_name = (operation.get_attr(key).name for key in ("cond", "body"))
        body = self._graph(body_name)
        counted = self._target == "onnx" and _counts(body)
        constants = {
            index: tensor
            for index, tensor in enumerate(inputs)
            if _origin(body.outputs[index]) is body.inputs[index]
            and _is_constant(tensor)
            and not (counted and index == 1)
        }
        varying = [index for index in range(len(inputs)) if index not in constants]
        # tf2onnx takes the first two of what is carried for a counter and its limit, whatever they are.
        counter = [tf.constant(0), tf.constant(-1)] if self._target == "onnx" and not counted else []
        extra = [tf.TensorSpec((), tf.int32)] * len(counter)

        def finish(before: Sequence[tf.Tensor], results: Sequence[tf.Tensor]) -> list[tf.Tensor]:
            counts = [before[0] + 1, before[1]] if before else []
            return [*counts, *(results[index] for index in varying)]

        # What is carried may change its shape: the body says with which it is entered.
        shapes = operation.get_attr("output_shapes")
        carried = tf.raw_ops.StatelessWhile(
            input=[*counter, *(inputs[index] for index in varying)],
            cond=self._function(condition_name, body.inputs, constants, lambda _, results: results, extra),
            body=self._function(body_name, body.inputs, constants, finish, extra),
            output_shapes=[*(tf.TensorShape([]) for _ in counter), *(shapes[index] for index in varying)]
            if shapes
            else [],
            parallel_iterations=operation.get_attr("parallel_iterations"),
            name=operation.name,
        )
        results = dict(zip(varying, carried[len(counter) :], strict=True))
        return [results.get(index, inputs[index]) for index in range(len(inputs))]

    def _branch(self, operation: tf.Operation, inputs: list[tf.Tensor]) -> Sequence[tf.Tensor]:
        chosen, *arguments = inputs
        if operation.type.endswith("If"):
            names = [operation.get_attr(key).name for key in ("else_branch", "then_branch")]
        else:
            names = [branch.name for branch in operation.get_attr("branches")]
        value = tf.get_static_value(chosen)
        if value is not None:
            # Out of range means the last branch.
            index = int(bool(value)) if operation.type.endswith("If") else int(value)
            with tf.name_scope(f"{operation.name}/"):
                return self._inline(names[index if 0 <= index < len(names) else -1], arguments)
        constants = {index: tensor for index, tensor in enumerate(arguments) if _is_constant(tensor)}
        branches = [self._function(name, arguments, constants) for name in names]
        return _choose(operation, chosen, branches, [t for i, t in enumerate(arguments) if i not in constants])


def _counts(body: Any) -> bool:
    """Whether the first two things that a loop carries are a counter and its limit, as `tf.while_loop` has them."""
    if len(body.inputs) < 2 or any(tensor.dtype != tf.int32 or tensor.shape.rank != 0 for tensor in body.inputs[:2]):
        return False
    step = _origin(body.outputs[0]).op
    return _origin(body.outputs[1]) is body.inputs[1] and step.type == "AddV2" and step.inputs[0] is body.inputs[0]


def _origin(tensor: tf.Tensor) -> tf.Tensor:
    """Return where a tensor comes from through identities."""
    while tensor.op.type == "Identity":
        tensor = tensor.op.inputs[0]
    return tensor


def _is_constant(value: Any) -> bool:
    """Whether a value is known: a constant, or the contents of a table."""
    return not isinstance(value, tf.Tensor) or _origin(value).op.type == "Const"


def _again(value: Any) -> Any:
    """Write a constant again, in the graph that is written now."""
    return _copy(_origin(value).op, [])[0] if isinstance(value, tf.Tensor) else value


def _choose(
    operation: tf.Operation, chosen: tf.Tensor, branches: list[Any], arguments: list[tf.Tensor]
) -> Sequence[tf.Tensor]:
    common = {
        "input": arguments,
        "Tout": [tensor.dtype for tensor in operation.outputs],
        "output_shapes": operation.get_attr("output_shapes"),
        "name": operation.name,
    }
    if operation.type.endswith("If"):
        otherwise, then = branches
        return tf.raw_ops.StatelessIf(cond=chosen, then_branch=then, else_branch=otherwise, **common)
    return tf.raw_ops.StatelessCase(branch_index=chosen, branches=branches, **common)


def _copy(operation: tf.Operation, inputs: Sequence[tf.Tensor], *, real: bool = False) -> Sequence[tf.Tensor]:
    """Write an operation again; `real` makes one over complex numbers one over real ones."""
    attributes = {key: value for key, value in operation.node_def.attr.items() if not key.startswith("_")}
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
