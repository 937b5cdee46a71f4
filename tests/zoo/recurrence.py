"""The table of recurrence: `python -m tests.zoo.recurrence [CONFIGURATION ...]` writes export/RECURRENCE.md.

With configurations it prints their rows and writes nothing.
"""

import concurrent.futures
import contextlib
import multiprocessing
import re
import sys
import tempfile
from pathlib import Path

import keras
import numpy as np

from keras_nnx.export import ExportError, job
from keras_nnx.export.arguments import Options
from keras_nnx.export.calibration import read_calibration
from keras_nnx.export.dimensions import explore
from keras_nnx.export.engine import inference_only, program_of
from keras_nnx.export.proof.probes import make_probes
from keras_nnx.export.proof.reference import make_references, steady
from keras_nnx.export.tracing import refuse_state
from keras_nnx.export.workers import borrowed_worker, shared_worker
from tests.zoo import support
from tests.zoo.recurrence_cases import CASES

PAGE = Path(__file__).parents[2] / "export" / "RECURRENCE.md"
BATCH, STEPS = 2, 5
PROCESSES, FOR_ONE_PROCESS = 2, 12
COLUMNS = {
    "ONNX, auto": ("onnx", "auto"),
    "ONNX, loop": ("onnx", "loop"),
    "ONNX, unroll": ("onnx", "unroll"),
    "TFLite, auto": ("tflite", "auto"),
    "TFLite, fused": ("tflite", "fused"),
    "TFLite, unroll": ("tflite", "unroll"),
}
OF_KNOWN_SIZES = [("onnx", "unroll"), ("tflite", "fused"), ("tflite", "unroll")]
OPERATORS = ("LSTM", "GRU", "RNN", "Loop", "Scan", "UNIDIRECTIONAL_SEQUENCE_LSTM", "WHILE")
"""What recurrence is made of; a file with none of these has all steps written out."""
HELD = np.array([[1, 1, 0, 1, 0], [0, 0, 1, 1, 1], [1, 1, 1, 1, 1], [0, 0, 0, 0, 0]], bool)
"""Masks of real inputs: with holes, padded on the left, of all steps, of none."""
INTRODUCTION = f"""# Recurrence, by configuration

Recurrent layers by configuration, format and mode (`export_model(..., recurrent=...)`), in float32. "Proven" means that
the file was run in its own runtime on the probes, with sequences padded on the left and masks with holes among them,
and answered as the model does; behind it is what the recurrence became: ONNX's operators `LSTM`, `GRU` and `RNN` or its
`Loop`, TFLite's `UNIDIRECTIONAL_SEQUENCE_LSTM` or its `WHILE`, or nothing of these if all steps were written out.
"Refused" means that `export_model` raises an error with this reason, and writes nothing. There is no third kind.

"Auto" and "loop" are asked of files for any batch and any number of steps, if the configuration does not say otherwise;
"unroll" and "fused" of files for a batch of {BATCH} and {STEPS} steps, which they need to be known. In ONNX, "auto" is
"fused" where ONNX has an operator; in TFLite, "auto" is "loop".

This page is generated (`make recurrence`). `make zoo` makes a part of it anew, in turns over all columns, and compares.
"""


def row(name):
    """Return the line of the table for one configuration."""
    found = cells(name, list(COLUMNS.values()))
    return f"| {name} | {' | '.join(found[column] for column in COLUMNS.values())} |"


def cells(name, columns):
    """Return some cells of one configuration, by format and mode."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(0)
    model = CASES[name]()
    if not model.built:
        model(np.zeros((1, STEPS, 4), "float32"))
    random = np.random.default_rng(0)  # biases are zeros at first, which would hide a wrong one
    model.set_weights([random.normal(scale=0.4, size=weight.shape) for weight in model.get_weights()])
    narrow = [column for column in columns if column in OF_KNOWN_SIZES]
    wide = [column for column in columns if column not in OF_KNOWN_SIZES]
    return {**cells_of(model, None, wide), **cells_of(model, signature_of(model), narrow)}


def listed(name):
    """Return the lines of the committed page for one configuration."""
    return [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith(f"| {name} |")]


def cells_of(model, signature, columns):
    """Return what exports of one model end in; they share all that `export_model` does before it makes a file."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(inference_only(model))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        try:
            program = stack.enter_context(program_of(model, signature))
            refuse_state(program)
            samples = read_calibration(samples_of(program.signature), program.signature)
            exploration = explore(program, samples)
            probes = make_probes(exploration, samples)
            references, chaotic = steady(exploration.program, make_references(exploration.program, probes))
        except ExportError as error:
            return dict.fromkeys(columns, f"refused: {reason_of(error)}")
        assert not chaotic, chaotic
        return {
            (target, mode): _cell(exploration.program, target, mode, folder, samples, references)
            for target, mode in columns
        }


def _cell(program, target, mode, folder, samples, references):
    with borrowed_worker() as worker:
        try:
            made = job.Job(program, folder, Options(recurrent=mode), worker, samples, references).make(target)
        except ExportError as error:
            return f"refused: {reason_of(error)}"
    assert made.parity.passed
    made_of = ", ".join(f"`{operator}`" for operator in OPERATORS if operator in made.operators)
    return f"proven: {made_of}" if made_of else "proven"


def signature_of(model):
    """Return the inputs of a model with a known batch and a known number of steps."""
    known = [
        keras.Input(_known(given.shape)[1:], batch_size=_known(given.shape)[0], dtype=given.dtype, name=given.name)
        for given in getattr(model, "inputs", None) or [keras.KerasTensor((None, None, 4), name="x")]
    ]
    return known[0] if len(known) == 1 else known


def _known(shape):
    return tuple(size or (STEPS if axis else BATCH) for axis, size in enumerate(shape))


def samples_of(signature):
    """Return real inputs, whose masks are those of `HELD` where they have as many steps."""
    random = np.random.default_rng(1)
    samples = {}
    for given in signature.inputs:
        shape = (len(HELD), *_known(given.static_shape)[1:])
        has_steps = len(shape) > 1 and shape[1] == STEPS
        held = HELD.reshape(*HELD.shape, *[1] * (len(shape) - 2)) if has_steps else np.array(True)
        if given.dtype == "bool":
            samples[given.name] = held
        elif np.issubdtype(np.dtype(given.dtype), np.integer):
            samples[given.name] = np.where(held, random.integers(1, 7, shape), 0).astype(given.dtype)
        else:
            samples[given.name] = np.where(held, random.normal(size=shape), 0).astype(given.dtype)
    return samples


def reason_of(error):
    """Return why an export was refused, without the name of the layer."""
    said = " ".join(str(error).split())
    found = re.search(r"cannot be written with recurrent='\w+': (.*?)(: pass .*)?\. Or use", said)
    if found:
        return found[1]
    if "changes its own variables" in said:
        return "it changes its own variables, which a file cannot do"
    return support.reason_of(error)


def _quiet_row(name):
    job._LATENCY_SECONDS = 0.0
    with shared_worker():
        return row(name)


def rows_of(names, processes):
    """Return the lines of configurations, made in processes that live for a few of them each."""
    context = multiprocessing.get_context("spawn")
    share = processes * FOR_ONE_PROCESS  # not max_tasks_per_child, with which Python 3.11 waits for ever
    for start in range(0, len(names), share):
        with concurrent.futures.ProcessPoolExecutor(processes, mp_context=context) as pool:
            for done, line in enumerate(pool.map(_quiet_row, names[start : start + share]), start + 1):
                sys.stderr.write(f"\r{done}/{len(names)} {line.split('|')[1]:60}")
                yield line
    sys.stderr.write("\n")


def main(*names):
    """Write the page, or print the rows of some configurations."""
    if names:
        sys.stdout.writelines(f"{line}\n" for line in rows_of(names, 1))
        return
    lines = [INTRODUCTION, f"| configuration | {' | '.join(COLUMNS)} |", f"|{'---|' * (len(COLUMNS) + 1)}"]
    lines += rows_of(list(CASES), PROCESSES)
    PAGE.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
