"""TFLite, by TensorFlow's converter in a child process, which it may take down with it."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import numpy as np

from keras_nnx.export.conversion.saved_model import write_frozen_saved_model
from keras_nnx.export.errors import ConverterCrashError, UnsupportedOperatorError
from keras_nnx.export.layer_paths import layer_path
from keras_nnx.export.signature import Program
from keras_nnx.export.tracing import FrozenGraph
from keras_nnx.export.workers import Worker, WorkerError

TIMEOUT_SECONDS = 900.0


def convert_to_tflite(
    program: Program, frozen: FrozenGraph, path: Path, worker: Worker, samples: dict[str, np.ndarray] | None = None
) -> None:
    """Write the TFLite file of a frozen graph, with builtin operators only; in int8 if there are calibration samples.

    An operator that has no int8 kernel stays in float; inputs and outputs keep their dtypes.

    Raises:
        UnsupportedOperatorError: If an operator has no builtin.
        ConverterCrashError: If the converter dies, hangs or fails in another way.
    """
    with tempfile.TemporaryDirectory(prefix="keras_nnx_") as folder:
        source, calibration = Path(folder, "saved_model"), Path(folder, "calibration.npz")
        write_frozen_saved_model(program, frozen, source)
        arguments = {"source": str(source), "destination": str(path)}
        if samples is not None:
            np.savez(calibration, **samples)  # type: ignore[arg-type]
            arguments["calibration"] = str(calibration)
        try:
            worker.call("convert_tflite", TIMEOUT_SECONDS, **arguments)
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
