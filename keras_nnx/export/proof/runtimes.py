"""The runtimes that artifacts are made for, behind one call."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from keras_nnx._stderr import held_back_stderr
from keras_nnx.export.errors import ExportError, RuntimeFailureError
from keras_nnx.export.workers import Worker, WorkerError

Inputs = dict[str, np.ndarray]
Outputs = dict[str, np.ndarray]
Feeds = dict[str, str]
"""For inputs that hold what a model remembers, the outputs that hold it after the call."""
REPEAT = 2
"""Identical calls in a row: state that survives a call shows in the second."""
_TIMEOUT_SECONDS = 600.0


class Runtime(Protocol):
    """Something that runs one artifact."""

    def run(self, probes: list[Inputs], feeds: Feeds | None = None) -> list[list[Outputs]]:
        """Return the outputs of `REPEAT` identical calls for each probe.

        An input that a probe leaves out is the output of the call before that `feeds` names for it.
        """

    def time(self, inputs: Inputs, seconds: float, most: int) -> list[float]:
        """Return the milliseconds of calls made for about `seconds`, but at most `most` of them, after a warm-up."""


class OnnxRuntime:
    """ONNX Runtime on the CPU.

    Args:
        path: The file.
        threads: Threads within an operator; 0 lets the runtime choose.
    """

    def __init__(self, path: Path, threads: int = 0) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._names = [value.name for value in self._session.get_outputs()]

    def __call__(self, inputs: Inputs) -> Outputs:
        """Run one batch."""
        return dict(zip(self._names, self._session.run(None, inputs), strict=True))

    def run(self, probes: list[Inputs], feeds: Feeds | None = None) -> list[list[Outputs]]:
        """Return the outputs of `REPEAT` identical calls for each probe."""
        return _in_a_row(self, probes, feeds)

    def time(self, inputs: Inputs, seconds: float, most: int) -> list[float]:
        """Return the milliseconds of calls made for about `seconds`, but at most `most` of them, after a warm-up."""
        return sample_milliseconds(lambda: self(inputs), seconds, most)


class LiteRt:
    """LiteRT with builtin operators, which is what a phone runs.

    A wrong file may end the process that runs it: `run` runs it in another one, if there is one. What is timed was
    proven before, and is called here.

    Args:
        path: The file.
        threads: Threads of the interpreter.
        worker: The other process.
    """

    def __init__(self, path: Path, threads: int = 1, worker: Worker | None = None) -> None:
        self._path = path.absolute()  # the child may be in another folder
        self._threads = threads
        self._worker = worker
        self._runner: Any = None

    def __call__(self, inputs: Inputs) -> Outputs:
        """Run one batch in this process; the interpreter takes the batch's own shape."""
        if self._runner is None:
            self._open(inputs)
        return {name: np.array(value) for name, value in self._runner(**inputs).items()}

    def run(self, probes: list[Inputs], feeds: Feeds | None = None) -> list[list[Outputs]]:
        """Return the outputs of `REPEAT` identical calls for each probe."""
        if self._worker is None:
            return _in_a_row(self, probes, feeds)
        answers, _ = _run_in(self._worker, "run_tflite", self._path, probes, feeds=feeds, threads=self._threads)
        return answers

    def time(self, inputs: Inputs, seconds: float, most: int) -> list[float]:
        """Return the milliseconds of calls made for about `seconds`, but at most `most` of them, after a warm-up."""
        self(inputs)
        return sample_milliseconds(lambda: self._runner(**inputs), seconds, most)

    def _open(self, inputs: Inputs) -> None:
        from ai_edge_litert.interpreter import Interpreter

        with held_back_stderr():  # the delegate greets when it first sees a shape
            self._interpreter = Interpreter(model_path=str(self._path), num_threads=self._threads)
            self._runner = self._interpreter.get_signature_runner("serving_default")
            self._runner(**inputs)


class SavedModelRuntime:
    """TensorFlow, in a process that has not imported this package.

    Args:
        path: The directory.
        worker: The process.
    """

    def __init__(self, path: Path, worker: Worker) -> None:
        self._path = path.absolute()  # the child may be in another folder
        self._worker = worker

    def run(self, probes: list[Inputs], feeds: Feeds | None = None) -> list[list[Outputs]]:
        """Return the outputs of `REPEAT` identical calls for each probe."""
        try:
            answers, reply = _run_in(self._worker, "run_saved_model", self._path, probes, feeds=feeds)
        except WorkerError as error:
            raise self._failed(error) from error
        if reply["imported"]:
            raise ExportError(f"saved_model: the clean process had imported {', '.join(reply['imported'])}.")
        return answers

    def time(self, inputs: Inputs, seconds: float, most: int) -> list[float]:
        """Return the milliseconds of calls made for about `seconds`, but at most `most` of them, after a warm-up."""
        with tempfile.TemporaryDirectory(prefix="keras_nnx_") as folder:
            source = Path(folder, "probes.npz")
            _save_probes(source, [inputs])
            arguments = {"path": str(self._path), "probes": str(source), "seconds": seconds, "most": most}
            try:
                return self._worker.call("time_saved_model", _TIMEOUT_SECONDS, **arguments)["milliseconds"]
            except WorkerError as error:
                raise self._failed(error) from error

    def _failed(self, error: WorkerError) -> RuntimeFailureError:
        return RuntimeFailureError(f"saved_model: TensorFlow cannot run {self._path.name}: {error}")


def _in_a_row(call: Callable[[Inputs], Outputs], probes: list[Inputs], feeds: Feeds | None) -> list[list[Outputs]]:
    answers: list[list[Outputs]] = []
    for given in probes:
        inputs = {**{name: answers[-1][0][output] for name, output in (feeds or {}).items() if answers}, **given}
        answers.append([call(inputs) for _ in range(REPEAT)])
    return answers


def _run_in(
    worker: Worker, task: str, path: Path, probes: list[Inputs], **more: Any
) -> tuple[list[list[Outputs]], dict[str, Any]]:
    """Return what an artifact answers in another process, `REPEAT` times to each probe, and what the process says."""
    with tempfile.TemporaryDirectory(prefix="keras_nnx_") as folder:
        source, results = Path(folder, "probes.npz"), Path(folder, "results.npz")
        _save_probes(source, probes)
        files = {"path": str(path), "probes": str(source), "results": str(results)}
        reply = worker.call(task, _TIMEOUT_SECONDS, **files, repeat=REPEAT, **more)
        answers: list[list[Outputs]] = [[{} for _ in range(REPEAT)] for _ in probes]
        with np.load(results, allow_pickle=False) as archive:
            for key in archive.files:
                probe, call, name = key.split("/", 2)
                answers[int(probe)][int(call)][name] = archive[key]
    return answers, reply


def sample_milliseconds(call: Any, seconds: float, most: int) -> list[float]:
    """Return the milliseconds of repeated calls: at least 5, at most `most`, for about `seconds`, once warm."""
    for _ in range(5):
        call()
    samples: list[float] = []
    end = time.perf_counter() + seconds
    while len(samples) < most and (time.perf_counter() < end or len(samples) < 5):
        start = time.perf_counter()
        call()
        samples.append((time.perf_counter() - start) * 1e3)
    return samples


def _save_probes(path: Path, probes: list[Inputs]) -> None:
    arrays = {f"{index}/{name}": value for index, inputs in enumerate(probes) for name, value in inputs.items()}
    np.savez(path, **arrays)  # type: ignore[arg-type]
