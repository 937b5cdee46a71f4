"""Stage 2, put to use: a model becomes a frozen graph for one target."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from keras_nnx.export.errors import ExportError, SignatureError, UnsupportedModelError
from keras_nnx.export.layer_paths import layer_path
from keras_nnx.export.lowering import decompositions as _decompositions  # noqa: F401  (decorators fill the registry)
from keras_nnx.export.lowering import stock as _stock  # noqa: F401  (decorators fill the registry)
from keras_nnx.export.lowering.layers import float32_compute, lowered_layers
from keras_nnx.export.lowering.rewriting import FrozenGraph, rewrite
from keras_nnx.export.signature import Program


def tensor_specifications(program: Program) -> dict[str, tf.TensorSpec]:
    """Return the inputs of `program` as TensorFlow describes them."""
    return {
        spec.name: tf.TensorSpec(spec.static_shape, spec.dtype, name=spec.name) for spec in program.signature.inputs
    }


def traceable(program: Program) -> tf.types.experimental.PolymorphicFunction:
    """Return `program` as a `tf.function` over a dict of named tensors."""
    return tf.function(program.call, autograph=False)


def trace(program: Program, target: str) -> FrozenGraph:
    """Trace `program` with the lowerings for `target`, put its variables in as constants, decompose its operators."""
    with float32_compute(program.model), lowered_layers(program.model, target) as failed:
        try:
            concrete = traceable(program).get_concrete_function(tensor_specifications(program))
        except Exception as error:
            if not failed:
                raise
            raise ExportError(f"{target}: the lowering of the layer {failed[0]}") from error
    frozen = convert_variables_to_constants_v2(concrete, lower_control_flow=False)
    captures = _captured_values(concrete)
    arguments = [tensor for tensor in frozen.inputs if tensor.op.name not in captures]
    # A flattened dict is in the order of its sorted keys, on both sides.
    inputs = dict(zip(sorted(spec.name for spec in program.signature.inputs), arguments, strict=True))
    outputs = dict(zip(sorted(spec.name for spec in program.signature.outputs), frozen.outputs, strict=True))
    return rewrite(frozen.graph, inputs, outputs, target, captures)


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
            graph = traceable(program).get_concrete_function(tensor_specifications(program)).graph.as_graph_def()
    except Exception as error:
        raise SignatureError(f"The model {program.model.name!r} cannot be traced by TensorFlow: {error}") from error
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    for node in nodes:
        if node.op.startswith("LookupTable"):
            raise UnsupportedModelError(
                f"The layer {layer_path(program.model, node.name)!r} looks its inputs up in a table, which the "
                f"runtimes do not share: look them up outside of the model, and pass the indices."
            )
        if node.op.startswith("Assign") and node.op.endswith("VariableOp"):
            path = layer_path(program.model, node.name)
            raise UnsupportedModelError(
                f"The layer {path!r} changes its own variables when it is called at inference, which an exported file "
                f"cannot do: make it stateless (of a recurrent layer, stateful=False; of a random one, none at "
                f"inference)."
            )


def _captured_values(concrete: Any) -> dict[str, np.ndarray]:
    """Return the eager tensors that the trace captured, by their placeholders; freezing sees to variables only."""
    return {
        internal.op.name: external.numpy()
        for external, internal in concrete.graph.captures
        if external.dtype not in (tf.resource, tf.variant)
    }
