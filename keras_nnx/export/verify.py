"""A directory exported earlier: is it whole, and does it still compute what the model computed?"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from keras_nnx.export import inspection
from keras_nnx.export.errors import ExportError, RuntimeFailureError
from keras_nnx.export.interrupts import kept
from keras_nnx.export.manifest import check_integrity, read_manifest, read_references
from keras_nnx.export.proof.comparison import SQNR_FLOORS_DB, Parity, compare, compare_quantized
from keras_nnx.export.proof.reference import Reference
from keras_nnx.export.proof.runtimes import LiteRt, OnnxRuntime, Runtime, SavedModelRuntime
from keras_nnx.export.report import ExportReport
from keras_nnx.export.signature import Signature
from keras_nnx.export.workers import Worker, borrowed_worker


@kept()
def verify_export(directory: str | Path) -> ExportReport:
    """Check an export directory and prove its artifacts again.

    Every file has to have the hash in the manifest, every artifact the recorded signature, and the answers to the
    stored probes have to be those that the model gave when it was exported. The model itself is not needed.

    Args:
        directory: What `export_model` wrote.

    Returns:
        The report of the export, with the parity measured now and no latency: see `benchmark_export`.

    Raises:
        IntegrityError: If a file is missing, added or changed.
        SignatureError: If an artifact has other inputs or outputs.
        ParityError: If an artifact answers differently.

    Example:
        >>> import tempfile, keras
        >>> import keras_nnx as nnx
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = nnx.export_model(model, folder + "/dense", formats=("onnx",))
        ...     nnx.verify_export(folder + "/dense").proven
        True
    """
    directory = Path(directory)
    values = read_manifest(directory)
    check_integrity(directory, values)
    report = ExportReport.from_dict(directory, values)
    references = read_references(directory, values)
    artifacts = {}
    with borrowed_worker() as worker:
        for name, artifact in report.artifacts.items():
            flex = inspection.has_flex(artifact.operators)
            operators = inspect_artifact(name, artifact.path, report.signature, allow_flex=flex)
            parity = None
            if not flex:
                runtime = open_runtime(name, artifact.path, worker)
                floor = values["sqnr_floor_db"]
                parity = prove(name, artifact.precision, runtime, references, float(values["tolerance"]), floor)
            artifacts[name] = dataclasses.replace(
                artifact, operators=operators, parity=parity, stream=None, latency_ms=None
            )
    return dataclasses.replace(report, artifacts=artifacts)


def inspect_artifact(
    target: str, path: Path, signature: Signature, model: Any = None, *, allow_flex: bool = False
) -> dict[str, int]:
    """Return the operators of an artifact, after checking its domains and its interface."""
    if target == "onnx":
        return inspection.inspect_onnx(path, signature, model)
    if target == "tflite":
        return inspection.inspect_tflite(path, signature, model, allow_flex=allow_flex)
    return inspection.inspect_saved_model(path)


def open_runtime(target: str, path: Path, worker: Worker, threads: int = 1) -> Runtime:
    """Return the runtime of an artifact, loaded."""
    try:
        if target == "onnx":
            return OnnxRuntime(path, threads)
        if target == "tflite":
            return LiteRt(path, threads, worker)
    except Exception as error:
        raise RuntimeFailureError(f"{target}: the runtime cannot load {path.name}: {error}") from error
    return SavedModelRuntime(path, worker)


def run_probes(
    target: str, precision: str, runtime: Runtime, references: list[Reference]
) -> list[list[dict[str, np.ndarray]]]:
    """Return the answers of an artifact to every probe; whatever its runtime raises is an error of the artifact."""
    try:
        return runtime.run([reference.probe.inputs for reference in references])
    except ExportError:
        raise
    except Exception as error:
        raise RuntimeFailureError(
            f"{target}: the runtime cannot run the {precision} file on the probes: {error} The artifact is not usable: "
            f"leave this format out{'' if precision == 'float32' else ', or export it in float32'}."
        ) from error


def prove(
    target: str,
    precision: str,
    runtime: Runtime,
    references: list[Reference],
    tolerance: float,
    sqnr_floor_db: float | None = None,
) -> Parity:
    """Run an artifact on every probe, twice, and return how its answers compare to the references."""
    answers = run_probes(target, precision, runtime, references)
    if precision == "float32":
        return compare(target, references, answers, tolerance)
    floor = SQNR_FLOORS_DB[precision] if sqnr_floor_db is None else sqnr_floor_db
    return compare_quantized(target, precision, references, answers, floor)
