"""How fast an artifact is."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from keras_nnx.export.interrupts import kept
from keras_nnx.export.manifest import check_integrity, read_manifest, read_references
from keras_nnx.export.proof.runtimes import Inputs, Runtime
from keras_nnx.export.report import ExportReport, Latency
from keras_nnx.export.verify import open_runtime
from keras_nnx.export.workers import borrowed_worker


@kept()
def benchmark_export(directory: str | Path, seconds: float = 2.0, threads: int = 1) -> ExportReport:
    """Measure the latency of every artifact of an export directory.

    Args:
        directory: What `export_model` wrote.
        seconds: How long each artifact is called, after a warm-up.
        threads: Threads of ONNX Runtime and LiteRT; TensorFlow chooses its own.

    Returns:
        The report of the export, in which the latencies are those measured now, of a batch of one.

    Raises:
        IntegrityError: If a file is missing, added or changed.
        ValueError: If `seconds` is not positive or `threads` is under 1.

    Example:
        >>> import tempfile, keras
        >>> import keras_nnx as nnx
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = nnx.export_model(model, folder + "/dense", formats=("onnx",))
        ...     report = nnx.benchmark_export(folder + "/dense", seconds=0.05)
        >>> report.artifacts["onnx"].latency_ms.median > 0
        True
    """
    if seconds <= 0 or threads < 1:
        raise ValueError(f"benchmark_export(seconds={seconds}, threads={threads}) needs time and at least one thread.")
    directory = Path(directory)
    values = read_manifest(directory)
    check_integrity(directory, values)
    report = ExportReport.from_dict(directory, values)
    inputs = read_references(directory, values)[0].probe.inputs
    artifacts = {}
    with borrowed_worker() as worker:
        for name, artifact in report.artifacts.items():
            runtime = open_runtime(name, artifact.path, worker, threads)
            artifacts[name] = dataclasses.replace(artifact, latency_ms=measure_latency(runtime, inputs, seconds))
    return dataclasses.replace(report, artifacts=artifacts)


def measure_latency(runtime: Runtime, inputs: Inputs, seconds: float, most: int = 1_000_000) -> Latency:
    """Return the median and the 95th percentile of the time of a call."""
    samples = runtime.time(inputs, seconds, most)
    return Latency(float(np.median(samples)), float(np.percentile(samples, 95)), len(samples))
