"""Stage 2, put to use: a model becomes a frozen graph for one target."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from keras_nnx.export.errors import ExportError, SignatureError, UnsupportedModelError
from keras_nnx.export.layer_paths import layer_path
from keras_nnx.export.lowering import decompositions as _decompositions  # noqa: F401  (decorators fill the registry)
from keras_nnx.export.lowering import own as _own  # noqa: F401  (decorators fill the registry)
from keras_nnx.export.lowering import stock as _stock  # noqa: F401
from keras_nnx.export.lowering.graphs import FrozenGraph, Table, needed_operations
from keras_nnx.export.lowering.layers import float32_compute, lowered_layers
from keras_nnx.export.lowering.recurrence import Plan, lowered_recurrence
from keras_nnx.export.lowering.rewriting import rewrite
from keras_nnx.export.lowering.weights import Variable
from keras_nnx.export.signature import Program


def tensor_specifications(program: Program) -> dict[str, tf.TensorSpec]:
    """Return the inputs of `program` as TensorFlow describes them."""
    return {
        spec.name: tf.TensorSpec(spec.static_shape, spec.dtype, name=spec.name) for spec in program.signature.inputs
    }


def traceable(program: Program) -> tf.types.experimental.PolymorphicFunction:
    """Return `program` as a `tf.function` over a dict of named tensors."""
    return tf.function(program.call, autograph=False)


def trace(program: Program, target: str, recurrent: Plan | None = None) -> FrozenGraph:
    """Trace `program` with the lowerings for `target`, put the values of its variables in, decompose its operators.

    Args:
        program: The model.
        target: `"onnx"` or `"tflite"`.
        recurrent: How recurrence is written; it learns what each recurrent layer became.
    """
    plan = Plan(target) if recurrent is None else recurrent
    with (
        float32_compute(program.model),
        lowered_recurrence(program.model, plan),
        lowered_layers(program.model, target) as failed,
    ):
        try:
            traced = tf.compat.v1.wrap_function(program.call, [tensor_specifications(program)])
        except Exception as error:
            if plan.refusal is not None:
                raise plan.refusal from None
            if not failed:
                raise
            raise ExportError(f"{target}: the lowering of the layer {failed[0]}") from error
    captures = _captured_values(traced)
    arguments = [tensor for tensor in traced.inputs if tensor.op.name not in captures]
    # A flattened dict is in the order of its sorted keys.
    inputs = dict(zip(sorted(spec.name for spec in program.signature.inputs), arguments, strict=True))
    outputs = {spec.name: traced.structured_outputs[spec.name] for spec in program.signature.outputs}
    return rewrite(traced.graph, inputs, outputs, target, program.model, captures)


def refuse_state(program: Program) -> None:
    """Raise for a model that changes its variables when it is called, and for weights in half precision.

    An artifact would be frozen at the state of the moment, or answer differently from call to call.

    Raises:
        UnsupportedModelError: Naming the layer and the remedy.
    """
    for variable in program.model.variables:
        if variable.dtype in ("float16", "bfloat16"):
            raise UnsupportedModelError(
                f"The weight {variable.path!r} is stored in {variable.dtype}, and artifacts compute in float32: build "
                f'the model under keras.config.set_dtype_policy("float32") and copy the weights with set_weights().'
            )
    try:
        with float32_compute(program.model):
            concrete = traceable(program).get_concrete_function(tensor_specifications(program))
    except Exception as error:
        raise SignatureError(f"The model {program.model.name!r} cannot be traced by TensorFlow: {error}") from error
    for name in _state(concrete):
        raise UnsupportedModelError(
            f"The layer {layer_path(program.model, name)!r} changes its own variables when it is called at inference, "
            f"which an exported file cannot do: make it stateless (of a recurrent layer, stateful=False; of a random "
            f"one, none at inference)."
        )


def _state(concrete: Any) -> Iterator[str]:
    """Yield the names of assignments whose variables the outputs depend on.

    A layer that draws random numbers counts its draws, whether or not the answer depends on them.
    """
    needed = needed_operations([tensor.op for tensor in concrete.outputs])
    read = {operation.inputs[0].ref() for operation in needed if operation.type == "ReadVariableOp"}
    library = {function.signature.name: function for function in concrete.graph.as_graph_def().library.function}
    for operation in concrete.graph.get_operations():
        if _assigns(operation) and operation.inputs[0].ref() in read:
            yield operation.name
        if operation in needed:
            yield from _assignments(operation.node_def, library, set())


def _assignments(node: Any, library: dict[str, Any], seen: set[str]) -> Iterator[str]:
    """Yield the assignments in the functions that a node calls, and in those that they call."""
    for value in node.attr.values():
        for called in [value.func, *value.list.func]:
            if called.name in library and called.name not in seen:
                seen.add(called.name)
                for inner in library[called.name].node_def:
                    if inner.op.startswith("Assign") and inner.op.endswith("VariableOp"):
                        yield inner.name
                    yield from _assignments(inner, library, seen)


def _assigns(operation: Any) -> bool:
    return operation.type.startswith("Assign") and operation.type.endswith("VariableOp")


def _captured_values(concrete: Any) -> dict[str, Any]:
    """Return what the trace captured, by its placeholders: arrays, variables and the contents of lookup tables."""
    values = {id(variable.handle): Variable(variable.read_value()) for variable in concrete.variables}
    graph_def = concrete.graph.as_graph_def()
    captured: dict[str, Any] = {}
    for external, internal in concrete.graph.captures:
        if id(external) in values:
            captured[internal.op.name] = values[id(external)]
        elif external.dtype == tf.resource:
            captured[internal.op.name] = _table(external, graph_def)
        elif external.dtype != tf.variant:
            captured[internal.op.name] = np.asarray(external.numpy())
    return captured


def _table(handle: tf.Tensor, graph_def: Any) -> Table | None:
    """Return the contents of a lookup table, which may be read in a branch: the types are those of some reader."""
    nodes = [*graph_def.node, *(node for function in graph_def.library.function for node in function.node_def)]
    readers = [node.attr for node in nodes if node.op == "LookupTableFindV2"]
    for keys_type, values_type in {(reader["Tin"].type, reader["Tout"].type) for reader in readers}:
        try:
            keys, values = tf.raw_ops.LookupTableExportV2(table_handle=handle, Tkeys=keys_type, Tvalues=values_type)
        except tf.errors.InvalidArgumentError:  # those of another table
            continue
        order = np.argsort(keys.numpy(), kind="stable")  # a table gives them in another order in each process
        return Table(keys.numpy()[order], values.numpy()[order])
    return None
