"""Two files of one model called in turns: `python -m tests.bench.latency MODEL FORMAT THREADS SECONDS OURS STOCK`.

Prints the median milliseconds of both, and why one does not run, as JSON.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np

from tests.bench.models import build, inputs

TURN = 5
WARM_UP = 10


def onnx_runner(path, samples, threads):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    feed = {value.name: match(value.name, samples) for value in session.get_inputs()}
    return lambda: session.run(None, feed)


def tflite_runner(path, samples, threads):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(path, num_threads=threads)
    values = {detail["index"]: match(detail["name"], samples) for detail in interpreter.get_input_details()}
    for index, value in values.items():
        interpreter.resize_tensor_input(index, value.shape)
    interpreter.allocate_tensors()

    def run():
        for index, value in values.items():
            interpreter.set_tensor(index, value)
        interpreter.invoke()
        return [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]

    return run


def match(name, samples):
    """Return the sample for an input, whose name stock's files have a prefix and a number around."""
    if len(samples) == 1:
        return next(iter(samples.values()))
    return next(value for key, value in samples.items() if key in name)


def in_turns(runners, seconds):
    """Call the runners in turns for so many seconds; return the median milliseconds of each."""
    times = {who: [] for who in runners}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for who, run in runners.items():
            for _ in range(TURN):
                before = time.perf_counter()
                run()
                times[who].append((time.perf_counter() - before) * 1e3)
    return {who: float(np.median(values)) for who, values in times.items()}


def main(name, target, threads, seconds, *paths):
    samples = inputs(build(name))
    start = {"onnx": onnx_runner, "tflite": tflite_runner}[target]
    runners, failures = {}, {}
    for who, path in zip(("ours", "stock"), paths, strict=True):
        try:
            runners[who] = start(path, samples, int(threads))
            for _ in range(WARM_UP):
                runners[who]()
        except Exception as error:  # noqa: BLE001  (the table says which file does not run)
            runners.pop(who, None)
            said = str(error).splitlines()[0].replace(str(Path(path).parent) + "/", "")  # no folder of this machine
            failures[who] = f"{type(error).__name__}: {said}"[:200]
    medians = in_turns(runners, float(seconds))
    difference = None
    if len(runners) == 2:
        first, second = (np.asarray(run()[0], "float64") for run in runners.values())
        difference = float(np.abs(first - second).max() / max(np.abs(first).max(), 1e-30))
    sys.stdout.write(json.dumps({"medians": medians, "failures": failures, "difference": difference}))


if __name__ == "__main__":
    main(*sys.argv[1:])
