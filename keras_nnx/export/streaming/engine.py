"""A model that is fed in chunks: read, rehearsed in Keras, exported, and performed in each runtime."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_nnx.export.arguments import FORMATS, Options, check_model, check_options, plain_metadata
from keras_nnx.export.calibration import read_calibration
from keras_nnx.export.dimensions import explore
from keras_nnx.export.directories import check_name, staged_directory, writing_to
from keras_nnx.export.engine import export_program, inference_only, moved
from keras_nnx.export.errors import ConverterCrashError, UnsupportedModelError
from keras_nnx.export.interrupts import kept
from keras_nnx.export.job import Job
from keras_nnx.export.manifest import foreign_entry
from keras_nnx.export.proof.comparison import TOLERANCE
from keras_nnx.export.proof.probes import make_probes
from keras_nnx.export.report import STREAMING, ExportReport
from keras_nnx.export.streaming.chunks import sequence_steps
from keras_nnx.export.streaming.program import StepProgram, step_program
from keras_nnx.export.streaming.refusals import refuse_one_length
from keras_nnx.export.streaming.rehearsal import Rehearsal
from keras_nnx.export.streaming.samples import check_length, step_samples
from keras_nnx.export.streaming.sequences import TIME, sequences_of
from keras_nnx.export.tracing import refuse_state
from keras_nnx.export.workers import borrowed_worker


@kept()
def export_streaming(
    model: keras.Model,
    directory: str | Path,
    *,
    formats: Sequence[str] = FORMATS,
    precision: str = "float32",
    input_signature: Any = None,
    calibration: Any = None,
    chunk: int | None = None,
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
    """Export a model to be fed in chunks, with all that it remembers as inputs and outputs.

    For live audio, sensors and the like: recurrent layers and causal convolutions over axis 1, the time, of any model.
    A call takes a chunk of one step or more and the states, and gives the answers to the chunk and the states after
    it, which go into the next call. At the start of a sequence the states are zeros, unless the report says otherwise.
    An output without an axis of time is the answer to the sequence so far. Inputs that are no sequences are passed
    with every chunk. States of another shape fail in each runtime: they need a row for each sequence of the chunk.

    In float32, sequences cut in several ways are proven to give in each runtime what the model answers to the whole;
    in lower precision, single calls are held to the floor, and how far a whole sequence is off is measured. A model
    that cannot be fed in chunks, such as one that attends to the future, is refused with the layer and the remedy.

    Args:
        model: A Keras 3 model on the TensorFlow backend. Stateful layers start anew at each sequence.
        directory: As in `export_model`.
        formats: Any of `"saved_model"`, `"onnx"`, `"tflite"`.
        precision: As in `export_model`. States are in float32.
        input_signature: As in `export_model`. Sequences are the inputs of unknown length, or else all of three axes.
        calibration: Batches of whole sequences, from which chunks and states are made.
        chunk: The steps of each chunk, for runtimes that take fixed sizes only. Default: one step or more.
        sqnr_floor_db: As in `export_model`, of single calls.
        recurrent: As in `export_model`, but in TFLite `"fused"` cannot be: that operator gives no states.
        opset: As in `export_model`.
        allow_flex: As in `export_model`.
        labels: As in `export_model`.
        metadata: As in `export_model`; the key `"streaming"` is taken.
        verify: Whether to run the artifacts.
        tolerance: Allowed difference in float32, times `max(1, |reference|)`. Default: 1e-5.
        overwrite: Whether an earlier export in `directory` is replaced.

    Returns:
        What was exported and proven. `metadata["streaming"]["states"]` has for each state its `input`, the `output`
        that is fed to it, and `shape` (without the batch), `dtype` and `initial` value. Latencies are those of a step.

    Raises:
        ValueError: If an argument has no meaning.
        ExportError: One of its kinds, if the model is refused or an artifact is wrong. `directory` is as it was.

    Example:
        >>> import tempfile, keras, numpy as np, onnxruntime
        >>> import keras_nnx as nnx
        >>> memory = keras.layers.LSTM(3, return_sequences=True)
        >>> model = keras.Sequential([keras.Input((None, 4), name="sound"), memory])
        >>> sound = np.random.default_rng(0).standard_normal((1, 50, 4)).astype("float32")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     report = nnx.export_streaming(model, folder + "/step", formats=("onnx",))
        ...     session = onnxruntime.InferenceSession(folder + "/step/model.onnx")
        >>> rows = report.metadata["streaming"]["states"]
        >>> states = {row["input"]: np.broadcast_to(np.float32(row["initial"]), (1, *row["shape"])) for row in rows}
        >>> names, heard = [output.name for output in session.get_outputs()], []
        >>> for chunk in np.split(sound, [1, 8, 30], axis=1):
        ...     answers = dict(zip(names, session.run(None, {"sound": chunk, **states})))
        ...     states = {row["input"]: answers[row["output"]] for row in rows}
        ...     heard.append(answers[names[0]])
        >>> bool(np.allclose(np.concatenate(heard, axis=1), model(sound), atol=1e-5))
        True
    """
    formats = formats if isinstance(formats, str) else tuple(formats)
    check_model("export_streaming", model, formats)
    given = plain_metadata(metadata)
    _check(chunk, given)
    options = Options(
        precision=precision,
        sqnr_floor_db=sqnr_floor_db,
        opset=opset,
        allow_flex=allow_flex,
        labels=() if labels is None else tuple(str(label) for label in labels),
        metadata=given,
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
        _rehearsed(model, input_signature, calibration, chunk, options, formats) as (rehearsal, samples),
    ):
        step = rehearsal.program
        refuse_state(step.program)
        described = dataclasses.replace(options, metadata={**given, STREAMING: _described(rehearsal, options)})
        job = Job(step.program, stage, described, worker, samples, notes=_notes(rehearsal, options), stream=rehearsal)
        with _advised(options, chunk):
            report = export_program(job, formats, rehearsal.takes)
    return moved(report, Path(directory))


@contextlib.contextmanager
def _advised(options: Options, chunk: int | None) -> Iterator[None]:
    """Say what to do where the quantiser of LiteRT gives up on a loop over steps."""
    try:
        yield
    except ConverterCrashError as error:
        if options.precision != "int8" or chunk is not None:
            raise
        raise ConverterCrashError(
            f"{error} A loop over any number of steps may be what it cannot quantise: pass chunk=, the steps of each "
            f"chunk, so that they are written out; or export in another precision."
        ) from error


def _check(chunk: int | None, metadata: dict[str, Any]) -> None:
    if chunk is not None and (type(chunk) is not int or chunk < 1):
        raise ValueError(f"chunk={chunk!r} is no number of steps: pass 1 or more, or None for chunks of any length.")
    if STREAMING in metadata:
        raise ValueError(
            f"metadata has the key {STREAMING!r}, which is that of how to feed the step model: take another."
        )


@contextlib.contextmanager
def _rehearsed(
    model: keras.Model,
    input_signature: Any,
    calibration: Any,
    chunk: int | None,
    options: Options,
    formats: Sequence[str] = FORMATS,
) -> Iterator[tuple[Rehearsal, dict[str, np.ndarray] | None]]:
    """Yield a model rehearsed in chunks, and real inputs of its step program; inside, it stays as it was read."""
    with sequences_of(model, input_signature) as sequences:
        samples = read_calibration(calibration, sequences.program.signature)
        exploration = explore(sequences.program, samples)
        if len({sizes[TIME] for sizes in exploration.sizes}) == 1:
            first = make_probes(exploration)[0].inputs
            refuse_one_length(exploration.program, first, sequences.names)
        step = step_program(sequences, exploration, chunk)
        _refuse_form(step, options.recurrent, formats)
        check_length(step, samples)
        rehearsal = Rehearsal(step, exploration, samples, options.tolerance)
        rehearsal.in_keras()
        if not step.states:
            raise UnsupportedModelError(
                f"The model {model.name!r} remembers nothing from one step to the next: export it with export_model, "
                f"and its file takes sequences in chunks as it is."
            )
        met = samples
        if met is None and options.precision in ("float16", "int8_dynamic"):
            met = rehearsal.ordinary
        yield rehearsal, None if met is None else step_samples(step, met)


def _refuse_form(step: StepProgram, recurrent: str, formats: Sequence[str]) -> None:
    """Raise for a form of recurrence that a file fed in chunks cannot have, before anything is proven or written."""
    layer = next((state.layer for state in step.states if state.is_recurrent), None)
    if layer is None:
        return
    if recurrent == "fused" and "tflite" in formats:
        raise UnsupportedModelError(
            f"tflite: the layer {layer!r} cannot be written with recurrent='fused' to be fed in chunks: the operator "
            f"keeps its states inside and gives none, so that they cannot go from call to call. Use recurrent='auto'."
        )
    if recurrent == "unroll" and step.chunk is None and {"onnx", "tflite"} & set(formats):
        raise UnsupportedModelError(
            f"The layer {layer!r} cannot be written with recurrent='unroll' for chunks of any length: pass chunk=, the "
            f"steps of each chunk, such as 4. Or use recurrent='loop'."
        )


def _notes(rehearsal: Rehearsal, options: Options) -> list[str]:
    step = rehearsal.program
    count, first = f"{step.chunk} steps" if step.chunk else "any number of steps", step.states[0]
    feeding = (
        f"A call takes {count} and {len(step.states)} states; {first.next_name!r} goes into the next call as "
        f"{first.name!r}, and so on, as metadata[{STREAMING!r}] lists."
    )
    if not options.verify:
        return [feeding]
    if options.precision == "float32":
        return [feeding, f"{rehearsal.sequences()}, give what they give as a whole."]
    measured = (
        f"In {options.precision} states carry errors from call to call: single calls were held to the floor; how far "
        f"sequences of {sequence_steps(step)} steps in chunks are from the whole was measured, and not proven to be "
        f"little."
    )
    return [feeding, measured]


def _described(rehearsal: Rehearsal, options: Options) -> dict[str, Any]:
    """Return what a client has to know to feed a step model."""
    step = rehearsal.program
    proven = rehearsal.steps if options.precision == "float32" else sequence_steps(step)
    return {
        "sequences": list(step.sequences),
        "axis": 1,
        "chunk": step.chunk,
        "looks_back": step.memory,
        "states": [state.to_dict() for state in step.states],
        "steps_of_the_proof": proven,
    }
