"""What the caller of an export may ask for."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

import keras

from keras_nnx.export.errors import ExportError
from keras_nnx.export.lowering.recurrence.plans import MODES
from keras_nnx.export.proof.comparison import TOLERANCE
from keras_nnx.export.signature import Program

FORMATS = ("saved_model", "onnx", "tflite")
PRECISIONS = ("float32", "float16", "int8_dynamic", "int8")
_HIGHEST_FLOOR_DB = 200.0


@dataclasses.dataclass(frozen=True)
class Options:
    """How artifacts are made, whatever their format.

    Args:
        precision: One of `PRECISIONS`.
        sqnr_floor_db: What the ratio of signal to quantisation noise has to be at least, if the caller asked.
        opset: Of the ONNX file; None for the oldest that has all it needs.
        allow_flex: Whether the TFLite file may hold operators of TensorFlow.
        labels: Names of the classes.
        metadata: What the caller wants kept.
        tolerance: Allowed difference in float32.
        verify: Whether artifacts are run.
        recurrent: How recurrence is written: one of `MODES`.
    """

    precision: str = "float32"
    sqnr_floor_db: float | None = None
    opset: int | None = None
    allow_flex: bool = False
    labels: tuple[str, ...] = ()
    metadata: dict[str, Any] = dataclasses.field(default_factory=dict)
    tolerance: float = TOLERANCE
    verify: bool = True
    recurrent: str = "auto"


def check_model(owner: str, model: Any, formats: Sequence[str]) -> None:
    """Raise unless `owner` was given a model that can be traced, and formats that there are."""
    if not isinstance(model, keras.Model):
        raise ValueError(f"{owner} needs a keras.Model, but received {type(model).__name__}.")
    if keras.backend.backend() != "tensorflow":
        raise ExportError(
            f"Models are traced through TensorFlow, but Keras runs on {keras.backend.backend()}: save the model, "
            f"and export it in a process started with KERAS_BACKEND=tensorflow."
        )
    if isinstance(formats, str) or not formats or any(name not in FORMATS for name in formats):
        raise ValueError(f"formats={formats!r} is not understood: pass one or more of {FORMATS} in a tuple.")


def check_options(options: Options) -> None:
    """Raise unless the options have a meaning."""
    if options.precision not in PRECISIONS:
        raise ValueError(f"precision={options.precision!r} is not understood: this version knows {PRECISIONS}.")
    if options.recurrent not in MODES:
        raise ValueError(f"recurrent={options.recurrent!r} is not understood: pass one of {MODES}.")
    tolerance, floor = options.tolerance, options.sqnr_floor_db
    if not (isinstance(tolerance, float | int) and 0 < tolerance < 1):
        raise ValueError(f"tolerance={tolerance!r} has to be over 0 and under 1.")
    if floor is not None:
        if not (isinstance(floor, float | int) and 0 < floor < _HIGHEST_FLOOR_DB):
            raise ValueError(f"sqnr_floor_db={floor!r} has to be over 0 and under {_HIGHEST_FLOOR_DB:g}, in decibels.")
        if options.precision == "float32" or not options.verify:
            raise ValueError(
                "sqnr_floor_db is measured on a quantised artifact: it needs another precision, and verify."
            )
    if options.opset is not None:
        from keras_nnx.export.conversion.onnx import CONVERTER_OPSET, newest_opset

        if type(options.opset) is not int or options.opset not in range(CONVERTER_OPSET, newest_opset() + 1):
            raise ValueError(
                f"opset={options.opset!r} cannot be written: {CONVERTER_OPSET} to {newest_opset()} can, which ONNX "
                f"Runtime runs as it is installed."
            )


def plain_metadata(metadata: dict[str, Any] | None) -> dict[str, Any]:
    """Return the metadata as they are read back from the manifest."""
    if metadata is not None and not isinstance(metadata, dict):
        raise ValueError(f"metadata={metadata!r} is no dict.")
    try:
        return json.loads(json.dumps(metadata or {}, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"metadata holds something that JSON cannot: {error}.") from error


def check_labels(program: Program, labels: tuple[str, ...]) -> None:
    """Raise unless there is one label for each score, each a line of text."""
    classes = program.signature.outputs[0].shape[-1:]
    if labels and classes and isinstance(classes[0], int) and classes[0] != len(labels):
        raise ValueError(
            f"There are {len(labels)} labels, but the output {program.signature.outputs[0].name!r} has a last axis of "
            f"{classes[0]}: give one label for each score, or none."
        )
    if any(label.splitlines() != [label] for label in labels):
        raise ValueError("A label is empty or holds a line break; labels.txt has one label a line.")
