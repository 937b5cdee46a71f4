"""SavedModel, with named inputs and outputs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from keras_nnx.export.conversion.saved_model_canonical import canonicalize
from keras_nnx.export.errors import UnsupportedModelError
from keras_nnx.export.lowering.graphs import FrozenGraph
from keras_nnx.export.lowering.layers import float32_compute
from keras_nnx.export.signature import Program
from keras_nnx.export.tracing import tensor_specifications


def write_saved_model(program: Program, path: Path) -> None:
    """Write the model with its variables; signature `serving_default` takes and returns the tensors by name.

    What is loaded has `serve`, `variables`, `trainable_variables` and `non_trainable_variables`, as what Keras exports
    has. `keras.export.ExportArchive` is not used since it saves variables in an order that changes from run to run.
    """
    import tensorflow as tf

    root = tf.__internal__.tracking.AutoTrackable()
    with float32_compute(program.model):
        root.serve = tf.function(program.call, [tensor_specifications(program)], autograph=False)
        concrete = root.serve.get_concrete_function()
    variables = [variable.value for variable in program.model.variables]
    known = {id(variable) for variable in variables}
    others = sorted(
        (variable for variable in concrete.variables if id(variable) not in known),
        key=lambda variable: (variable.name, tuple(variable.shape)),
    )
    root.variables = [*variables, *others]
    root.trainable_variables = [variable.value for variable in program.model.trainable_variables]
    root.non_trainable_variables = [variable.value for variable in program.model.non_trainable_variables]
    root.tables = [
        part
        for part in tf.train.TrackableView(program.model).descendants()
        if isinstance(part, tf.saved_model.experimental.TrackableResource)
    ]
    with _named_by_rule("saved_model"):
        tf.saved_model.save(root, str(path), signatures={"serving_default": concrete})
    if not any((path / "assets").iterdir()):
        (path / "assets").rmdir()  # an archive or a version control would lose it, and nothing reads it
    canonicalize(path)


@contextlib.contextmanager
def _named_by_rule(target: str) -> Iterator[None]:
    """Say which names TensorFlow does not take, and what to do."""
    try:
        yield
    except ValueError as error:
        if "root scope name" in str(error):
            raise UnsupportedModelError(
                f"{target}: TensorFlow takes no variable of this name: {error} Give the layer a name= that begins "
                f"with a letter."
            ) from error
        if "argument names" in str(error) or "valid parameter name" in str(error):
            raise UnsupportedModelError(
                f"{target}: TensorFlow's signatures take names of letters, digits and underscores only, and no words "
                f"of Python: give the inputs such names (keras.Input(..., name=...)). It said: {error}"
            ) from error
        raise


def write_frozen_saved_model(program: Program, frozen: FrozenGraph, path: Path) -> None:
    """Write a lowered graph as a SavedModel, which is what the TFLite converter reads."""
    import tensorflow as tf

    names = sorted(frozen.outputs)
    weights = {f"{name}:0": tf.Variable(value, trainable=False) for name, value in frozen.weights.items()}

    @tf.function(autograph=False)
    def run(inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        mapped = {tensor: inputs[name] for name, tensor in frozen.inputs.items()}
        mapped |= {tensor: variable.read_value() for tensor, variable in weights.items()}
        wanted = [frozen.outputs[name] for name in names]
        results = tf.graph_util.import_graph_def(frozen.graph_def, mapped, wanted, name="")
        return dict(zip(names, results, strict=True))

    module = tf.Module()
    module.run, module.weights = run, list(weights.values())
    concrete = run.get_concrete_function(tensor_specifications(program))
    # Gradients mean nothing to the converter, and those of frozen values cannot be traced.
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    with _named_by_rule("tflite"):
        tf.saved_model.save(module, str(path), signatures={"serving_default": concrete}, options=options)
