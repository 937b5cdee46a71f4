"""Lowering by operator: decompositions on the traced, frozen graph, blind to the layers that made it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from keras_nnx.export.errors import ExportError
from keras_nnx.export.lowering.targets import check_targets

Decomposition = Callable[..., Sequence[tf.Tensor]]

_REGISTRY: dict[tuple[str, str], Decomposition] = {}


def register_decomposition(operator: str, targets: Sequence[str]) -> Callable[[Decomposition], Decomposition]:
    """Teach the engine to write one TensorFlow operator as others.

    Args:
        operator: The operator's type, such as `"Erfc"`.
        targets: `"onnx"`, `"tflite"` or both.

    Returns:
        A decorator for a function `(operation, *inputs) -> outputs`, called inside the graph that receives the
        replacement; `operation` is the original `tf.Operation`, for its attributes, and `outputs` a list with as many
        tensors as it has.

    Raises:
        ValueError: If a target is unknown.

    Example:
        >>> import tensorflow as tf
        >>> import keras_nnx as nnx
        >>> @nnx.export.register_decomposition("Log1p", targets=("tflite",))
        ... def log1p(operation, x):
        ...     return [tf.math.log(1.0 + x)]
    """
    check_targets("register_decomposition", targets)

    def register(function: Decomposition) -> Decomposition:
        for target in targets:
            _REGISTRY[operator, target] = function
        return function

    return register


@register_decomposition("Erfc", targets=("onnx",))
def erfc(operation: tf.Operation, x: tf.Tensor) -> list[tf.Tensor]:
    """Return 1 - erf(x): the ONNX standard has no complementary error function, and exact GELU is made of it."""
    return [tf.constant(1, x.dtype) - tf.math.erf(x)]


@register_decomposition("Expm1", targets=("onnx",))
def expm1(operation: tf.Operation, x: tf.Tensor) -> list[tf.Tensor]:
    """Return exp(x) - 1, which the ONNX standard has under no other name; near zero it is exact to 6e-8."""
    return [tf.exp(x) - tf.constant(1, x.dtype)]


@register_decomposition("Softplus", targets=("tflite",))
def softplus(operation: tf.Operation, x: tf.Tensor) -> list[tf.Tensor]:
    """Return log(1 + exp(x)) without the overflow that the converter's own rewriting has from 89 on."""
    return [tf.nn.relu(x) + tf.math.log(tf.constant(1, x.dtype) + tf.exp(-tf.abs(x)))]


def decompose(graph_def: Any, target: str) -> Any:
    """Return `graph_def` with every operator that has a decomposition for `target` replaced by it."""
    known = {operator for operator, registered in _REGISTRY if registered == target}
    if not any(node.op in known for node in graph_def.node):
        return graph_def
    with tf.Graph().as_default() as graph:
        tf.graph_util.import_graph_def(graph_def, name="")
    result = tf.compat.v1.GraphDef()
    result.versions.CopyFrom(graph_def.versions)
    result.library.CopyFrom(graph_def.library)
    renamed: dict[str, str] = {}
    for node in graph_def.node:
        if node.op in known:
            _splice(result, graph.get_operation_by_name(node.name), _REGISTRY[node.op, target], renamed)
        else:
            result.node.add().CopyFrom(node)
    for node in result.node:
        for index, name in enumerate(node.input):
            node.input[index] = renamed.get(_canonical(name), name)
    return result


def _splice(result: Any, operation: tf.Operation, function: Decomposition, renamed: dict[str, str]) -> None:
    """Append the nodes that compute `operation` another way, and note the new names of its outputs."""
    with tf.Graph().as_default() as graph:
        inputs = [
            tf.compat.v1.placeholder(tensor.dtype, tensor.shape, name=f"operand_{index}")
            for index, tensor in enumerate(operation.inputs)
        ]
        outputs = function(operation, *inputs)
        if not isinstance(outputs, list | tuple) or len(outputs) != len(operation.outputs):
            raise ExportError(
                f"The decomposition of {operation.type} has to return a list of {len(operation.outputs)} tensors, one "
                f"for each output of {operation.name!r}, but returned {type(outputs).__name__}."
            )
    prefix = operation.name
    operands = {f"operand_{index}": tensor.name for index, tensor in enumerate(operation.inputs)}
    for node in graph.as_graph_def().node:
        if node.name in operands:
            continue
        copy = result.node.add()
        copy.CopyFrom(node)
        copy.name = f"{prefix}/{node.name}"
        for index, name in enumerate(copy.input):
            owner, _, port = name.lstrip("^").partition(":")
            copy.input[index] = operands[owner] if owner in operands else _join(f"{prefix}/{owner}", port, name)
    for index, tensor in enumerate(outputs):
        owner, _, port = tensor.name.partition(":")
        renamed[f"{operation.name}:{index}"] = operands.get(owner, f"{prefix}/{owner}:{port}")
    last = outputs[0].op.name
    renamed[f"^{operation.name}"] = f"^{prefix}/{last}"


def _join(owner: str, port: str, original: str) -> str:
    name = f"{owner}:{port}" if port else owner
    return f"^{name}" if original.startswith("^") else name


def _canonical(name: str) -> str:
    return name if name.startswith("^") or ":" in name else f"{name}:0"
