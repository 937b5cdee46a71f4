"""What an artifact is like: how fast, how large, how much memory, how often right."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_nnx.export.report import Artifact
from keras_nnx.export.verify import open_runtime
from keras_nnx.export.workers import borrowed_worker

_SCRIPT = Path(__file__).with_name("_measure.py")
_PATIENCE_SECONDS = 300.0
_BATCH = 256
_LAST_WORDS = 1000
SPREAD = 0.03


class MeasurementError(Exception):
    """An artifact ended its runtime, or hung, while it was measured."""


@dataclasses.dataclass(frozen=True)
class Measurement:
    """One artifact in its runtime, on one thread, with a batch of one.

    Args:
        latency_ms: The median of a call.
        p95_ms: The 95th percentile.
        runs: How many calls these are of.
        spread: How far the medians of five rounds in a row are apart, over their median.
        settled: Whether that is as small as it has to be.
        memory_mb: What loading it and one call add to the memory of the process at most, in 1e6 bytes.
    """

    latency_ms: float
    p95_ms: float
    runs: int
    spread: float
    settled: bool
    memory_mb: float


def measure_artifact(
    runtime: str,
    path: Path,
    inputs: dict[str, np.ndarray],
    spread: float = SPREAD,
    seconds: float = 5.0,
    bounds: Sequence[float] | None = None,
) -> Measurement:
    """Load and time an artifact in a process of its own.

    Args:
        runtime: `"onnx"` or `"tflite"`.
        path: The file.
        inputs: What a call is given, by name.
        spread: The times are taken in rounds of a tenth of a second, until five in a row have medians within this.
        seconds: The longest that it may take; then the five that agree best count.
        bounds: Latencies in milliseconds that it is only to be compared with: three rounds are enough if they are all
            under half, or over twice, each of them. Default: the latency itself is asked for.

    Raises:
        MeasurementError: If the process dies or hangs.
    """
    with tempfile.TemporaryDirectory(prefix="keras_nnx_") as folder:
        source = Path(folder, "inputs.npz")
        np.savez(source, **inputs)  # type: ignore[arg-type]
        request = {
            "runtime": runtime,
            "path": str(path.absolute()),
            "inputs": str(source),
            "spread": spread,
            "seconds": seconds,
            "bounds": None if bounds is None else list(bounds),
        }
        found = _ask(request, runtime, path)
    return Measurement(
        found["median"], found["p95"], found["runs"], found["spread"], found["settled"], found["memory_bytes"] / 1e6
    )


def _ask(request: dict[str, Any], runtime: str, path: Path) -> dict[str, Any]:
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [sys.executable, "-I", str(_SCRIPT), json.dumps(request)],
            stdin=subprocess.PIPE,  # stays open: its end tells the child that this process has gone
            stdout=subprocess.PIPE,
            stderr=log,
        )
        timer = threading.Timer(_PATIENCE_SECONDS, process.kill)
        timer.start()
        try:
            assert process.stdout is not None  # for the type checker: it was asked for above
            answer = process.stdout.read()
        finally:
            timer.cancel()
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                stream.close()  # type: ignore[union-attr]
        if not answer:
            log.seek(0)
            words = log.read().decode(errors="replace").strip()[-_LAST_WORDS:]
            raise MeasurementError(f"{runtime}: {path.name} ended the process that measured it. {words}")
    return json.loads(answer)


def artifact_accuracy(artifact: Artifact, inputs: dict[str, np.ndarray], targets: np.ndarray, output: str) -> float:
    """Return the share of targets that an artifact names rightly in its runtime.

    Args:
        artifact: The artifact.
        inputs: All examples, by the name of the input.
        targets: Class numbers, or one of each class; of a single score, 0 or 1.
        output: The name of the scores.
    """
    count = len(targets)
    starts = range(0, count, _BATCH)
    probes = [{name: value[start : start + _BATCH] for name, value in inputs.items()} for start in starts]
    with borrowed_worker() as worker:
        runtime = open_runtime(artifact.format, artifact.path, worker)
        scores = np.concatenate([answers[0][output] for answers in runtime.run(probes)])
    return share_right(scores, targets)


def share_right(scores: np.ndarray, targets: np.ndarray) -> float:
    """Return how often the greatest score is that of the target; of a single score, whether it is over a half."""
    targets = np.asarray(targets)
    if scores.ndim == 1 or scores.shape[-1] == 1:
        return float(((scores > 0.5).reshape(-1) == (targets > 0.5).reshape(-1)).mean())
    if targets.shape == scores.shape:
        targets = targets.argmax(-1)
    return float((scores.argmax(-1).reshape(-1) == targets.reshape(-1)).mean())
