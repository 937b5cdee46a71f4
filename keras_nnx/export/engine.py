"""The stages in a row: signature, lowering, conversion, inspection, proof, report."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import keras

from keras_nnx.export.arguments import (
    FORMATS,
    Options,
    check_labels,
    check_model,
    check_options,
    plain_metadata,
)
from keras_nnx.export.calibration import read_calibration
from keras_nnx.export.dimensions import Exploration, explore
from keras_nnx.export.directories import check_name, staged_directory, writing_to
from keras_nnx.export.errors import CalibrationError, SignatureError
from keras_nnx.export.interrupts import kept
from keras_nnx.export.job import Job
from keras_nnx.export.loading import count_parameters
from keras_nnx.export.lowering.control_flow import converted_calls, needs_conversion
from keras_nnx.export.lowering.layers import lowered_layers
from keras_nnx.export.manifest import ARTIFACT_NAMES, foreign_entry, versions, write_manifest
from keras_nnx.export.proof.comparison import TOLERANCE
from keras_nnx.export.proof.probes import make_probes
from keras_nnx.export.proof.reference import CHAOS, Reference, is_insensitive, make_references, steady
from keras_nnx.export.report import Artifact, ExportReport
from keras_nnx.export.signature import Program, read_signature
from keras_nnx.export.tracing import refuse_state
from keras_nnx.export.workers import borrowed_worker

_TOP1_WORTH_A_NOTE = 0.9


@kept()
def export_model(
    model: keras.Model,
    directory: str | Path,
    *,
    formats: Sequence[str] = FORMATS,
    precision: str = "float32",
    input_signature: Any = None,
    calibration: Any = None,
    sqnr_floor_db: float | None = None,
    recurrent: str = "auto",
    opset: int | None = None,
    allow_flex: bool = False,
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
        precision: `"float32"`; `"float16"`, weights of half the size that are computed with in float32;
            `"int8_dynamic"`, weights in int8, their inputs quantised as the model runs; `"int8"`, weights and
            activations. It applies to ONNX and TFLite: their inputs and outputs stay in float32, and a SavedModel
            stays in float32 as a whole.
        input_signature: For models that do not know their inputs, `keras.Input(shape, dtype=...)` or a list or dict
            of them as the model takes them, or by the names of the arguments of its `call`; or to narrow those of a
            model that does.
        calibration: Batches of real inputs: an array, or an iterable of batches such as a `tf.data.Dataset`. Required
            by `"int8"`; welcome otherwise, where the first of them join the probes.
        sqnr_floor_db: The least ratio of signal to quantisation noise that you accept, in decibels. In `"int8"`, the
            fewest layers are kept in float for it to hold, and the report names them. Default: 10, and 30 in
            `"float16"`; under it the export fails.
        recurrent: How recurrent layers are written. `"loop"`, for any number of steps; `"fused"`, as one operator for
            each layer: ONNX has them for LSTM, GRU and SimpleRNN, TFLite for an LSTM and a batch of known size;
            `"unroll"`, all steps written out, which have to be of a known number. `"auto"` takes ONNX's operators
            where they exist, and in TFLite a loop, or in int8 all steps if their number is known. The report says
            what became of each layer.
        opset: The ONNX opset, from 18 to the newest that ONNX Runtime runs. Default: the oldest that has all
            operators of the most compact form, at most 23.
        allow_flex: Whether a TFLite file may hold operators of TensorFlow where there is no builtin one. No runtime
            that can be installed by pip runs these, so that such a file is not proven, which the report says.
        labels: Names of the classes, kept in `labels.txt`, in the manifest and in the ONNX metadata.
        metadata: Anything JSON can hold, kept in the manifest and in the ONNX metadata.
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
    check_model("export_model", model, formats)
    options = Options(
        precision=precision,
        sqnr_floor_db=sqnr_floor_db,
        opset=opset,
        allow_flex=allow_flex,
        labels=() if labels is None else tuple(str(label) for label in labels),
        metadata=plain_metadata(metadata),
        tolerance=TOLERANCE if tolerance is None else tolerance,
        verify=verify,
        recurrent=recurrent,
    )
    check_options(options)
    check_name(Path(directory), formats)
    with (
        writing_to(Path(directory)),
        staged_directory(Path(directory), overwrite=overwrite, foreign=foreign_entry) as stage,
        inference_only(model),
        borrowed_worker() as worker,
        program_of(model, input_signature) as read,
    ):
        refuse_state(read)
        samples = read_calibration(calibration, read.signature)
        job = Job(read, stage, options, worker, samples)
        report = export_program(job, formats)
    return moved(report, Path(directory))


def export_program(job: Job, formats: Sequence[str], exploration: Exploration | None = None) -> ExportReport:
    """Make and prove the artifacts of a job, and write what binds them together.

    Args:
        job: What to make.
        formats: In which formats.
        exploration: What the program takes, where that is known; else it is found out.
    """
    read, options, samples, stage = job.program, job.options, job.samples, job.stage
    if options.precision == "int8" and samples is None:
        raise CalibrationError(
            'precision="int8" needs calibration: pass a few batches of real inputs (on the command line, '
            "--calibration)."
        )
    check_labels(read, options.labels)
    exploration = explore(read, samples) if exploration is None else exploration
    job.program = program = exploration.program
    probes = make_probes(exploration, samples, many=options.precision != "float32")
    if job.stream is not None:
        probes.insert(0, job.stream.step)
    job.references, chaotic = steady(program, make_references(program, probes))
    # Backwards: what a child process has run of a SavedModel stays in its memory, and the converter needs the most.
    made = {name: job.make(name) for name in reversed(FORMATS) if name in formats}
    artifacts = {name: made[name] for name in FORMATS if name in made}
    report = ExportReport(
        directory=stage,
        model=program.model.name,
        parameters=count_parameters(program.model),
        precision=options.precision,
        signature=program.signature,
        labels=options.labels,
        metadata=options.metadata,
        versions=versions(),
        artifacts=artifacts,
        notes=(
            *_notes(program.model, artifacts, options.precision, job.references, chaotic),
            *_of_labels(program, options),
            *job.notes,
        ),
    )
    write_manifest(stage, report, job.references, options)
    return report


def moved(report: ExportReport, directory: Path) -> ExportReport:
    """Return the report for the same files in another directory."""
    rows = {
        name: dataclasses.replace(row, path=directory / ARTIFACT_NAMES[name]) for name, row in report.artifacts.items()
    }
    return dataclasses.replace(report, directory=directory, artifacts=rows)


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


@contextlib.contextmanager
def inference_only(model: keras.Model) -> Iterator[None]:
    """Keep an export from touching what belongs to the training: the compiled functions and the random state."""
    functions = {name: getattr(model, name, None) for name in ("predict_function", "test_function")}
    try:
        yield
    finally:
        for name, function in functions.items():
            setattr(model, name, function)


def _of_labels(program: Program, options: Options) -> tuple[str, ...]:
    first, *others = program.signature.outputs
    if not options.labels or not others:
        return ()
    return (f"The labels are those of the output {first.name!r}, the first of {len(others) + 1}.",)


def _notes(
    model: keras.Model,
    artifacts: dict[str, Artifact],
    precision: str,
    references: list[Reference],
    chaotic: list[str],
) -> tuple[str, ...]:
    notes = []
    policies = {layer.dtype_policy.compute_dtype for layer in model._flatten_layers()} - {"float32", "float64"}
    if policies:
        notes.append(f"Trained in {', '.join(sorted(policies))}; the artifacts compute in float32.")
    if precision != "float32" and "saved_model" in artifacts:
        notes.append(f"The SavedModel is in float32: {precision} is for ONNX and TFLite.")
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
                f"{name}: {precision} names another class than float32 for {1 - agreement:.0%} of the inputs it was "
                f"measured on; measure its accuracy before you use it."
            )
        if artifact.kept_in_float:
            notes.append(f"{name}: kept in float to reach the floor: {', '.join(artifact.kept_in_float)}.")
    return tuple(notes)
