"""Whether a model can be exported, asked before it is trained."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import keras

from keras_nnx.export.arguments import FORMATS, Options, check_model
from keras_nnx.export.engine import inference_only, program_of
from keras_nnx.export.errors import ExportError, UnsupportedOperatorError
from keras_nnx.export.interrupts import kept
from keras_nnx.export.job import Job
from keras_nnx.export.tracing import refuse_state
from keras_nnx.export.workers import borrowed_worker


@dataclasses.dataclass(frozen=True)
class Finding:
    """One reason why a model cannot be exported as it is.

    Args:
        targets: The formats that it concerns.
        layer_path: Where in the model, such as `"vit/block_1/attention"`; `""` where it cannot be told.
        operator: The operator's name in the graph; `""` if it is not about one.
        message: What is wrong, and what to do.
        remedy: What to do, by itself; `""` where the message says it all.
    """

    targets: tuple[str, ...]
    layer_path: str
    operator: str
    message: str
    remedy: str

    def __str__(self) -> str:
        return self.message


@kept()
def check_exportable(
    model: keras.Model, *, formats: Sequence[str] = FORMATS, input_signature: Any = None
) -> list[Finding]:
    """Find what stands in the way of an export, whatever the weights are: before any training, that is.

    The model is read, traced, lowered, converted and inspected for each format, as `export_model` does. Only the
    proof, which needs the weights that are to be shipped, is left out, and nothing is kept.

    Args:
        model: A Keras model on the TensorFlow backend.
        formats: Any of `"saved_model"`, `"onnx"`, `"tflite"`.
        input_signature: As in `export_model`.

    Returns:
        What was found, each with the layer, the operator, the formats and a remedy; an empty list if nothing was.

    Raises:
        ValueError: If an argument has no meaning.

    Example:
        >>> import keras
        >>> import keras_nnx as nnx
        >>> sound = keras.Input((None, 4))
        >>> model = keras.Model(sound, keras.ops.median(sound, axis=1), name="listener")
        >>> {finding.targets for finding in nnx.check_exportable(model)}
        {('tflite',)}
    """
    formats = formats if isinstance(formats, str) else tuple(formats)
    check_model("check_exportable", model, formats)
    findings: list[Finding] = []
    with tempfile.TemporaryDirectory(prefix="keras_nnx_") as folder, inference_only(model), borrowed_worker() as worker:
        try:
            with program_of(model, input_signature) as program:
                refuse_state(program)
                job = Job(program, Path(folder), Options(verify=False), worker)
                for name in formats:
                    try:
                        job.make(name)
                    except ExportError as error:
                        findings += _findings(error, (name,))
        except ExportError as error:
            findings += _findings(error, tuple(formats))
    return findings


def _findings(error: ExportError, targets: tuple[str, ...]) -> Iterator[Finding]:
    if not isinstance(error, UnsupportedOperatorError):
        yield Finding(targets, "", "", str(error), "")
        return
    for one in (error, *error.also):
        yield Finding(targets, one.layer_path, one.operator, str(one), one.remedy)
