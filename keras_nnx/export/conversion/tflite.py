"""TFLite, by TensorFlow's converter in a child process, which it may take down with it."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from keras_nnx.export.conversion.saved_model import write_frozen_saved_model
from keras_nnx.export.errors import ConverterCrashError, UnsupportedOperatorError
from keras_nnx.export.layer_paths import layer_path
from keras_nnx.export.signature import Program
from keras_nnx.export.tracing import FrozenGraph
from keras_nnx.export.workers import Worker, WorkerError

TIMEOUT_SECONDS = 900.0


def convert_to_tflite(program: Program, frozen: FrozenGraph, path: Path, worker: Worker) -> None:
    """Write the TFLite file of a frozen graph, with builtin operators only.

    Raises:
        UnsupportedOperatorError: If an operator has no builtin.
        ConverterCrashError: If the converter dies, hangs or fails in another way.
    """
    with tempfile.TemporaryDirectory(prefix="keras_nnx_") as folder:
        write_frozen_saved_model(program, frozen, Path(folder))
        try:
            worker.call("convert_tflite", TIMEOUT_SECONDS, source=folder, destination=str(path))
        except WorkerError as error:
            _raise_named(program, frozen, error)


def _raise_named(program: Program, frozen: FrozenGraph, error: WorkerError) -> None:
    """Raise what the converter's message means: the operators it has no builtin for, or a crash."""
    operators = re.findall(r"tf\.(\w+)\(", _unsupported_part(str(error)))
    if operators:
        operator = operators[0]
        nodes = [node.name for node in frozen.graph_def.node if node.op == operator]
        path = layer_path(program.model, nodes[0]) if nodes else ""
        raise UnsupportedOperatorError(
            path,
            operator,
            "tflite",
            "Replace the layer by one without it, teach the engine with nnx.export.register_lowering, or leave "
            "'tflite' out of formats.",
        ) from error
    raise ConverterCrashError(f"tflite: the converter failed on the model {program.model.name!r}: {error}") from error


def _unsupported_part(message: str) -> str:
    _, _, tail = message.partition("ops:")
    return tail
