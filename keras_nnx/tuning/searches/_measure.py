"""The child's side of `measure.py`: a script that loads one artifact, times it until the times agree, and ends.

It is given one JSON object as its argument, and writes one to standard output. It ends with its parent, whose end
closes its standard input.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

_ENOUGH = 3
_FAR = 2.0


def main(
    runtime: str, path: str, inputs: str, spread: float, seconds: float, bounds: list[float] | None
) -> dict[str, Any]:
    """Return the latency of a call and the memory that loading and calling take."""
    import numpy as np

    with np.load(inputs, allow_pickle=False) as archive:
        feed = {name: archive[name] for name in archive.files}
    load = {"onnx": _onnx, "tflite": _tflite}[runtime]
    prepared = load(None)  # the library itself is no part of the artifact's memory
    before = _resident(reset=True)
    call = prepared(path, feed)
    call()
    memory = _peak() - before
    rounds, kept, settled = _time(call, spread, seconds, bounds)
    times = sorted(value for part in kept for value in part)
    medians = [statistics.median(part) for part in kept]
    return {
        "median": statistics.median(times),
        "p95": times[min(len(times) - 1, int(0.95 * len(times)))],
        "runs": len(times),
        "rounds": rounds,
        "spread": (max(medians) - min(medians)) / statistics.median(medians),
        "settled": settled,
        "memory_bytes": max(0, memory),
    }


def _time(
    call: Callable[[], Any], spread: float, seconds: float, bounds: list[float] | None
) -> tuple[int, list[list[float]], bool]:
    """Return how many rounds there were, the five in a row that agree best, and whether they do.

    With bounds, three rounds are enough if they are all far from each of them.
    """
    window = 5
    rounds: list[list[float]] = []
    best: tuple[float, list[list[float]]] = (float("inf"), [])
    for _ in range(3):
        call()
    end = time.perf_counter() + seconds
    while len(rounds) < window or time.perf_counter() < end:
        rounds.append(_round(call))
        if bounds is not None and len(rounds) == _ENOUGH and _is_far(rounds, bounds):
            return len(rounds), rounds, True
        if len(rounds) >= window:
            medians = [statistics.median(part) for part in rounds[-window:]]
            width = (max(medians) - min(medians)) / statistics.median(medians)
            if width < best[0]:
                best = (width, rounds[-window:])
            if width <= spread:
                break
    return len(rounds), best[1], best[0] <= spread


def _is_far(rounds: list[list[float]], bounds: list[float]) -> bool:
    medians = [statistics.median(part) for part in rounds]
    return all(max(medians) * _FAR < bound or min(medians) > bound * _FAR for bound in bounds)


def _round(call: Callable[[], Any]) -> list[float]:
    """Return the milliseconds of the calls of a tenth of a second, and at least five."""
    times: list[float] = []
    end = time.perf_counter() + 0.1
    while len(times) < 5 or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        times.append((time.perf_counter() - start) * 1e3)
    return times


def _onnx(_: None) -> Callable[[str, dict[str, Any]], Callable[[], Any]]:
    import onnxruntime

    def load(path: str, feed: dict[str, Any]) -> Callable[[], Any]:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        return lambda: session.run(None, feed)

    return load


def _tflite(_: None) -> Callable[[str, dict[str, Any]], Callable[[], Any]]:
    from ai_edge_litert.interpreter import Interpreter

    def load(path: str, feed: dict[str, Any]) -> Callable[[], Any]:
        interpreter = Interpreter(model_path=path, num_threads=1)
        runner = interpreter.get_signature_runner("serving_default")
        return lambda: runner(**feed)

    return load


def _resident(reset: bool) -> int:
    """Return the bytes of memory in use now; let the peak begin anew, where the system can."""
    try:
        if reset:
            with open("/proc/self/clear_refs", "w") as file:  # noqa: PTH123
                file.write("5")
        with open("/proc/self/statm") as file:  # noqa: PTH123
            return int(file.read().split()[1]) * resource.getpagesize()
    except OSError:
        return _peak()


def _peak() -> int:
    try:
        with open("/proc/self/status") as file:  # noqa: PTH123
            found = next(line for line in file if line.startswith("VmHWM"))
        return int(found.split()[1]) * 1024
    except (OSError, StopIteration):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


def _end_with_parent() -> None:
    while os.read(0, 1):
        pass
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()
    sys.stdout.write(json.dumps(main(**json.loads(sys.argv[1]))) + "\n")
    sys.stdout.flush()
    os._exit(0)
