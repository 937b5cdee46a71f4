"""The child's side of `workers.py`: a script that knows TensorFlow (which imports Keras) and not this package.

It reads one request a line from standard input, `{"task": ..., "arguments": {...}}`, and writes one answer a line to
what was standard output when it started; anything else that prints goes to standard error.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import resource
import sys
import threading
import time
from collections.abc import Callable
from typing import Any


def convert_tflite(source: str, destination: str, allow_flex: bool = False) -> dict[str, Any]:
    """Convert the SavedModel in `source` to a TFLite file with builtin operators, and TensorFlow's if they may be."""
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_saved_model(source, signature_keys=["serving_default"])
    if allow_flex:
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS]
    content = converter.convert()
    with open(destination, "wb") as file:  # noqa: PTH123
        file.write(content)
    return {}


def run_saved_model(
    path: str, probes: str, results: str, repeat: int, feeds: dict[str, str] | None = None
) -> dict[str, Any]:
    """Call the signature of a SavedModel `repeat` times on every probe of an .npz file, and write the outputs."""
    signature = _signature(path)
    _answer(lambda inputs: _call(signature, inputs), probes, results, repeat, feeds)
    return {"imported": sorted(name for name in sys.modules if name.partition(".")[0] == "keras_nnx")}


def run_tflite(
    path: str, probes: str, results: str, repeat: int, threads: int, feeds: dict[str, str] | None = None
) -> dict[str, Any]:
    """Call the signature of a TFLite file `repeat` times on every probe of an .npz file, and write the outputs."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=path, num_threads=threads)
    runner = interpreter.get_signature_runner("serving_default")
    _answer(lambda inputs: runner(**inputs), probes, results, repeat, feeds)
    return {}


def _answer(
    function: Callable[[dict[str, Any]], dict[str, Any]],
    probes: str,
    results: str,
    repeat: int,
    feeds: dict[str, str] | None,
) -> None:
    """Call `function` `repeat` times on every probe of an .npz file, and write what it gives to another.

    An input that a probe leaves out is the output of the call before that `feeds` names for it.
    """
    import numpy as np

    outputs: dict[str, Any] = {}
    before: dict[str, Any] = {}
    with np.load(probes, allow_pickle=False) as archive:
        for key, given in _group(archive).items():
            inputs = {**{name: before[output] for name, output in (feeds or {}).items() if before}, **given}
            for call in range(repeat):
                before = {name: np.array(value) for name, value in function(inputs).items()}
                outputs |= {f"{key}/{call}/{name}": value for name, value in before.items()}
    np.savez(results, **outputs)


def time_saved_model(path: str, probes: str, seconds: float, most: int) -> dict[str, Any]:
    """Time calls of the signature on the first probe, after a warm-up: milliseconds, and peak memory in bytes."""
    import numpy as np

    signature = _signature(path)
    with np.load(probes, allow_pickle=False) as archive:
        inputs = next(iter(_group(archive).values()))
    for _ in range(5):
        _call(signature, inputs)
    samples: list[float] = []
    end = time.perf_counter() + seconds
    while len(samples) < most and (time.perf_counter() < end or len(samples) < 5):
        start = time.perf_counter()
        for value in _call(signature, inputs).values():
            value.numpy()
        samples.append((time.perf_counter() - start) * 1e3)
    _loaded.clear()  # nothing is asked of it after its speed
    return {"milliseconds": samples, "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}


_loaded: dict[tuple[str, int], Any] = {}


def _signature(path: str) -> Any:
    import tensorflow as tf

    key = (path, os.stat(path).st_ino)  # noqa: PTH116
    if key not in _loaded:
        _loaded.clear()
        _loaded[key] = tf.saved_model.load(path)
    return _loaded[key].signatures["serving_default"]


def _call(signature: Any, inputs: dict[str, Any]) -> dict[str, Any]:
    import tensorflow as tf

    return signature(**{name: tf.constant(value) for name, value in inputs.items()})


def _group(archive: Any) -> dict[str, dict[str, Any]]:
    """Return the arrays named `probe/input` as a dict of inputs for each probe."""
    groups: dict[str, dict[str, Any]] = {}
    for key in archive.files:
        probe, _, name = key.partition("/")
        groups.setdefault(probe, {})[name] = archive[key]
    return groups


TASKS = {task.__name__: task for task in (convert_tflite, run_saved_model, run_tflite, time_saved_model)}


def release() -> None:
    """Free what is unreachable and give it back to the system: what converters leave is full of cycles, and large."""
    gc.collect()
    if sys.platform.startswith("linux"):
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc only
        if trim is not None:
            trim(0)


def _end_with(parent: int) -> None:
    """End this process when its parent is gone, even in the middle of a task that never returns."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def main() -> None:
    """Answer requests until standard input closes."""
    threading.Thread(target=_end_with, args=[os.getppid()], daemon=True).start()
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    for index, line in enumerate(sys.stdin):
        request = json.loads(line)
        try:
            answer: dict[str, Any] = {"result": TASKS[request["task"]](**request["arguments"])}
        except Exception as error:  # noqa: BLE001  (the parent decides what any failure means)
            answer = {"error": f"{type(error).__name__}: {error}"}
        release()
        if index == 0:  # what the first task imported stays: the next searches for garbage pass it by
            gc.freeze()
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
