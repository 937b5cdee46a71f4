"""The stages in a row: signature, lowering, conversion, inspection, proof, report."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_nnx.export import inspection
from keras_nnx.export.benchmark import measure_latency
from keras_nnx.export.calibration import read_calibration
from keras_nnx.export.conversion.saved_model import write_saved_model
from keras_nnx.export.dimensions import explore
from keras_nnx.export.directories import staged_directory, writing_to
from keras_nnx.export.errors import CalibrationError, ExportError, ParityError, SignatureError, UnsupportedModelError
from keras_nnx.export.lowering.control_flow import converted_calls, needs_conversion
from keras_nnx.export.lowering.layers import lowered_layers
from keras_nnx.export.manifest import ARTIFACT_NAMES, foreign_entry, hash_files, versions, write_manifest
from keras_nnx.export.proof.comparison import TOLERANCE
from keras_nnx.export.proof.probes import make_probes
from keras_nnx.export.proof.reference import CHAOS, Reference, is_insensitive, make_references, steady
from keras_nnx.export.report import Artifact, ExportReport
from keras_nnx.export.signature import Program, read_signature
from keras_nnx.export.tracing import refuse_state, trace
from keras_nnx.export.verify import inspect_artifact, open_runtime, prove
from keras_nnx.export.workers import Worker, borrowed_worker

FORMATS = ("saved_model", "onnx", "tflite")
PRECISIONS = ("float32", "int8")
_LATENCY_SECONDS = 0.5
_LATENCY_CALLS = 200
_TOP1_WORTH_A_NOTE = 0.9
_WRITE_NOTHING = "Nothing was written: leave this format out, or change the layer that the target computes differently."
_QUANTIZED_MARKS = {"QuantizeLinear", "DequantizeLinear", "QUANTIZE", "DEQUANTIZE"}


def export_model(
    model: keras.Model,
    directory: str | Path,
    *,
    formats: Sequence[str] = FORMATS,
    precision: str = "float32",
    input_signature: Any = None,
    calibration: Any = None,
    labels: Sequence[str] | None = None,
    metadata: dict[str, Any] | None = None,
    verify: bool = True,
    tolerance: float | None = None,
    overwrite: bool = False,
) -> ExportReport:
    """Export a Keras model, and prove every artifact in its own runtime before anything is written in place.

    Args:
        model: A Keras 3 model on the TensorFlow backend.
        directory: Where `saved_model/`, `model.onnx`, `model.tflite`, `manifest.json` and the probes go. It appears
            complete or not at all.
        formats: Any of `"saved_model"`, `"onnx"`, `"tflite"`.
        precision: `"float32"`, or `"int8"` for ONNX and TFLite, whose inputs and outputs stay in float32; a
            SavedModel stays in float32 as a whole.
        input_signature: For models that do not know their inputs, `keras.Input(shape, dtype=...)` or a list or dict
            of them as the model takes them, or by the names of the arguments of its `call`; or to narrow those of a
            model that does.
        calibration: Batches of real inputs: an array, or an iterable of batches such as a `tf.data.Dataset`. Required
            by `"int8"`; welcome in float32, where the first of them join the probes.
        labels: Names of the classes, kept in `labels.txt`, in the manifest and in the ONNX metadata.
        metadata: Anything JSON can hold, kept in the manifest.
        verify: Whether to run the artifacts. Without it the report says "not proven".
        tolerance: Allowed difference in float32, times `max(1, |reference|)`. Default: 1e-5.
        overwrite: Whether an earlier export in `directory` is replaced.

    Returns:
        What was exported and proven; `print` shows it as a table.

    Raises:
        ValueError: If an argument has no meaning.
        ExportError: One of its kinds, if the model is refused or an artifact is wrong. `directory` is as it was.

    Example:
        >>> import tempfile, keras
        >>> import keras_nnx as nnx
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     report = nnx.export_model(model, folder + "/dense", formats=("onnx",))
        >>> report.artifacts["onnx"].parity.passed
        True
    """
    formats = formats if isinstance(formats, str) else tuple(formats)
    check_arguments("export_model", model, formats, precision, tolerance)
    metadata = _plain(metadata)
    labels = () if labels is None else tuple(str(label) for label in labels)
    with (
        writing_to(Path(directory)),
        staged_directory(Path(directory), overwrite=overwrite, foreign=foreign_entry) as stage,
        inference_only(model),
        borrowed_worker() as worker,
        program_of(model, input_signature) as read,
    ):
        refuse_state(read)
        samples = read_calibration(calibration, read.signature)
        if precision == "int8" and samples is None:
            raise CalibrationError(
                'precision="int8" needs calibration: pass a few batches of real inputs (on the command line, '
                "--calibration)."
            )
        _check_labels(read, labels)
        exploration = explore(read, samples)
        program = exploration.program
        references, chaotic = steady(program, make_references(program, make_probes(exploration, samples)))
        bound = TOLERANCE if tolerance is None else tolerance
        job = Job(program, stage, precision, samples, labels, references, bound, verify, worker)
        artifacts = {name: job.make(name) for name in FORMATS if name in formats}
        report = ExportReport(
            directory=stage,
            model=model.name,
            parameters=int(model.count_params()),
            precision=precision,
            signature=program.signature,
            labels=labels,
            metadata=metadata,
            versions=versions(),
            artifacts=artifacts,
            notes=_notes(model, artifacts, precision, references, chaotic),
        )
        write_manifest(stage, report, references, bound)
    final = Path(directory)
    moved = {name: dataclasses.replace(row, path=final / ARTIFACT_NAMES[name]) for name, row in artifacts.items()}
    return dataclasses.replace(report, directory=final, artifacts=moved)


@dataclasses.dataclass
class Job:
    """What making an artifact needs to know."""

    program: Program
    stage: Path
    precision: str
    samples: dict[str, np.ndarray] | None
    labels: tuple[str, ...]
    references: list[Reference]
    tolerance: float
    verify: bool
    worker: Worker

    def make(self, target: str) -> Artifact:
        """Convert, inspect, prove and time one format."""
        path = self.stage / ARTIFACT_NAMES[target]
        self._convert(target, path)
        operators = inspect_artifact(target, path, self.program.signature, self.program.model)
        precision = "float32" if target == "saved_model" else self.precision
        in_float = inspection.float_operators(path, target) if precision == "int8" else None
        if in_float is not None and not _QUANTIZED_MARKS & set(operators):
            raise UnsupportedModelError(
                f"{target}: int8 applies to none of the operators of this model ({', '.join(operators)}): export it in "
                f"float32."
            )
        parity = latency = None
        if self.verify:
            runtime = open_runtime(target, path, self.worker)
            try:
                parity = prove(target, precision, runtime, self.references, self.tolerance)
            except ParityError as error:
                raise error.with_remedy(_WRITE_NOTHING) from error
            latency = measure_latency(runtime, self.references[0].probe.inputs, _LATENCY_SECONDS, _LATENCY_CALLS)
        digest, size, files = hash_files(self.stage, path.name)
        return Artifact(
            format=target,
            path=path,
            precision=precision,
            sha256=digest,
            size_bytes=size,
            files=files,
            operators=operators,
            float_operators=in_float,
            parity=parity,
            latency_ms=latency,
        )

    def _convert(self, target: str, path: Path) -> None:
        if target == "saved_model":
            write_saved_model(self.program, path)
            return
        frozen = trace(self.program, target)
        if target == "onnx":
            from keras_nnx.export.conversion.onnx import convert_to_onnx, save_onnx

            proto = convert_to_onnx(self.program.model, frozen, self.program.signature)
            save_onnx(proto, path, self.labels)
            if self.precision == "int8":
                from keras_nnx.export.conversion.quantized_onnx import quantize_onnx

                assert self.samples is not None  # checked at the start
                batch = self.program.signature.inputs[0].shape[0]
                quantize_onnx(path, self.samples, None if isinstance(batch, str) else batch)
        else:
            from keras_nnx.export.conversion.tflite import convert_to_tflite

            samples = self.samples if self.precision == "int8" else None
            convert_to_tflite(self.program, frozen, path, self.worker, samples)


@contextlib.contextmanager
def program_of(model: keras.Model, input_signature: Any) -> Iterator[Program]:
    """Yield the model as a program; inside, Python control flow over tensors is converted if it has to be."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(lowered_layers(model, "saved_model"))
        try:
            program = read_signature(model, input_signature)
        except SignatureError as error:
            if not needs_conversion(error):
                raise
            stack.enter_context(converted_calls(model))
            program = read_signature(model, input_signature)
        yield program


def check_arguments(
    owner: str, model: Any, formats: Sequence[str], precision: str = "float32", tolerance: float | None = None
) -> None:
    """Raise unless the arguments that `owner` was given have a meaning."""
    if not isinstance(model, keras.Model):
        raise ValueError(f"{owner} needs a keras.Model, but received {type(model).__name__}.")
    if keras.backend.backend() != "tensorflow":
        raise ExportError(
            f"Models are traced through TensorFlow, but Keras runs on {keras.backend.backend()}: save the model, "
            f"and export it in a process started with KERAS_BACKEND=tensorflow."
        )
    if isinstance(formats, str) or not formats or any(name not in FORMATS for name in formats):
        raise ValueError(f"formats={formats!r} is not understood: pass one or more of {FORMATS} in a tuple.")
    if precision not in PRECISIONS:
        raise ValueError(f"precision={precision!r} is not understood: this version knows {PRECISIONS}.")
    if tolerance is not None and not (isinstance(tolerance, float | int) and 0 < tolerance < 1):
        raise ValueError(f"tolerance={tolerance!r} has to be over 0 and under 1.")


def _plain(metadata: dict[str, Any] | None) -> dict[str, Any]:
    """Return the metadata as they are read back from the manifest."""
    if metadata is not None and not isinstance(metadata, dict):
        raise ValueError(f"metadata={metadata!r} is no dict.")
    try:
        return json.loads(json.dumps(metadata or {}, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"metadata holds something that JSON cannot: {error}.") from error


def _check_labels(program: Program, labels: tuple[str, ...]) -> None:
    classes = program.signature.outputs[0].shape[-1:]
    if labels and classes and isinstance(classes[0], int) and classes[0] != len(labels):
        raise ValueError(
            f"There are {len(labels)} labels, but the output {program.signature.outputs[0].name!r} has a last axis of "
            f"{classes[0]}: give one label for each score, or none."
        )
    if any(label.splitlines() != [label] for label in labels):
        raise ValueError("A label is empty or holds a line break; labels.txt has one label a line.")


@contextlib.contextmanager
def inference_only(model: keras.Model) -> Iterator[None]:
    """Keep an export from touching what belongs to the training: the compiled functions and the random state."""
    functions = {name: getattr(model, name, None) for name in ("predict_function", "test_function")}
    try:
        yield
    finally:
        for name, function in functions.items():
            setattr(model, name, function)


def _notes(
    model: keras.Model,
    artifacts: dict[str, Artifact],
    precision: str,
    references: list[Reference],
    chaotic: list[str],
) -> tuple[str, ...]:
    notes = []
    policies = {layer.dtype_policy.compute_dtype for layer in model._flatten_layers()} - {"float32"}
    if policies:
        notes.append(f"Trained in {', '.join(sorted(policies))}; the artifacts compute in float32.")
    if precision == "int8" and "saved_model" in artifacts:
        notes.append("The SavedModel is in float32: the format has no int8.")
    if is_insensitive(references):
        notes.append(
            "The model answers all ordinary inputs alike, so that the proof says little: train it first, or pass "
            "calibration, real inputs that it tells apart."
        )
    if chaotic:
        notes.append(
            f"Left out of the proof, since the model's own answer moves there by more than {CHAOS:.0%} when its inputs "
            f"move in the last bits: {', '.join(chaotic)}."
        )
    for name, artifact in artifacts.items():
        agreement = artifact.parity.top1_agreement if artifact.parity is not None else None
        if agreement is not None and agreement < _TOP1_WORTH_A_NOTE:
            notes.append(
                f"{name}: int8 names another class than float32 for {1 - agreement:.0%} of the calibration samples; "
                f"measure its accuracy before you use it."
            )
    return tuple(notes)
