"""TFLite, by TensorFlow's converter in a child process, which it may take down with it."""

from __future__ import annotations

import dataclasses
import errno
import os
import re
import tempfile
from pathlib import Path

import tensorflow as tf

from keras_nnx.export._worker import release
from keras_nnx.export.conversion.saved_model import write_frozen_saved_model
from keras_nnx.export.conversion.tflite_interface import declare_output_shapes
from keras_nnx.export.errors import REPLACE_THE_LAYER, ConverterCrashError, UnsupportedOperatorError
from keras_nnx.export.interrupts import held_back
from keras_nnx.export.layer_paths import layer_path
from keras_nnx.export.lowering.graphs import FrozenGraph
from keras_nnx.export.signature import Program
from keras_nnx.export.workers import Worker, WorkerError

TIMEOUT_SECONDS = 900.0
_NO_LOOPS = (
    "It collects results of a loop in a list, which TFLite does not have: write them into a tensor with "
    "keras.ops.slice_update, use keras.layers.RNN, which is exported, or leave this format out."
)
_NO_FLOAT64 = (
    "It computes in float64 there, which TFLite hardly knows: compute in float32 (keras.ops.quantile, median and "
    "percentile do not), or leave this format out."
)


def convert_to_tflite(
    program: Program, frozen: FrozenGraph, path: Path, worker: Worker, *, allow_flex: bool = False
) -> None:
    """Write the float32 TFLite file of a frozen graph, with builtin operators only, unless others are allowed.

    Raises:
        UnsupportedOperatorError: If an operator has no builtin.
        ConverterCrashError: If the converter dies, hangs or fails in another way.
    """
    with tempfile.TemporaryDirectory(prefix="keras_nnx_") as folder:
        source = Path(folder, "saved_model")
        write_frozen_saved_model(program, frozen, source)
        frozen = dataclasses.replace(frozen, weights={})
        with held_back():
            release()
        try:
            worker.call(
                "convert_tflite",
                TIMEOUT_SECONDS,
                source=str(source),
                destination=str(path.absolute()),
                allow_flex=allow_flex,
            )
        except WorkerError as error:
            if os.strerror(errno.ENOSPC) in str(error):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
            _raise_named(program, frozen, error)
    declare_output_shapes(path, program.signature)


def _raise_named(program: Program, frozen: FrozenGraph, error: WorkerError) -> None:
    """Raise what the converter's message means: an operator that it has no builtin for, or a crash."""
    found = _located_operators(str(error)) or _listed_operators(str(error), frozen)
    if found:
        doubles = _of_float64(frozen)
        remedies = {
            (layer_path(program.model, node), operator): _remedy(operator, node in doubles) for operator, node in found
        }
        first, *rest = [UnsupportedOperatorError(*place, "tflite", remedy) for place, remedy in remedies.items()]
        first.also = tuple(rest)
        raise first from error
    raise ConverterCrashError(f"tflite: the converter failed on the model {program.model.name!r}: {error}") from error


def _remedy(operator: str, in_float64: bool) -> str:
    if in_float64:
        return _NO_FLOAT64
    return _NO_LOOPS if operator.startswith("TensorList") else REPLACE_THE_LAYER


def _of_float64(frozen: FrozenGraph) -> set[str]:
    """Return the names of the nodes that compute in float64."""
    nodes = [*frozen.graph_def.node, *(node for f in frozen.graph_def.library.function for node in f.node_def)]
    return {node.name for node in nodes if node.attr["T"].type == tf.float64.as_datatype_enum}


def _located_operators(message: str) -> list[tuple[str, str]]:
    """Return the operators and nodes where the converter points at them: fused["Operator:", "node@function"]."""
    found = re.findall(r'fused\["(\w+):", "([^"@]+)', message)
    return [(operator, node) for operator, node in found if "PartitionedCall" not in operator]


def _listed_operators(message: str, frozen: FrozenGraph) -> list[tuple[str, str]]:
    """Return the operators of the list that the converter ends with, each with the first node of its type."""
    _, _, tail = message.partition("ops:")
    found = []
    for operator in dict.fromkeys(re.findall(r"tf\.(\w+)\(", tail)):
        nodes = [node.name for node in frozen.graph_def.node if node.op == operator]
        found.append((operator, nodes[0] if nodes else ""))
    return found
