"""The table of what exports where: `python -m tests.zoo.support` writes export/SUPPORT.md."""

import sys
import tempfile
from pathlib import Path

import keras

import keras_nnx as nnx
from keras_nnx.export import (
    ConverterCrashError,
    ExportError,
    ParityError,
    RuntimeFailureError,
    UnsupportedOperatorError,
    job,
)
from keras_nnx.export.workers import shared_worker
from tests.zoo.layer_cases import CASES, NOT_IN_A_GRAPH

PAGE = Path(__file__).parents[2] / "export" / "SUPPORT.md"
FORMATS = {"saved_model": "SavedModel", "onnx": "ONNX", "tflite": "TFLite"}
INTRODUCTION = """# What exports where

Every layer of `keras.layers` that can stand in an inference graph, in the configurations that make a difference, in
float32. "Proven" means that the file was run in its own runtime on the probes and answered as the model does; "refused"
means that `export_model` raises an error with this reason, and writes nothing. There is no third kind of cell.

This page is generated (`make support`), and `make zoo` checks that it is current.
"""


def cell(model, target):
    """Return what an export of `model` to one format ends in."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            report = nnx.export_model(model, Path(folder, "x"), formats=(target,))
        except ExportError as error:
            return f"refused: {reason_of(error)}"
    assert report.proven
    return "proven"


def rows(name):
    """Return the lines of the table for one layer: configurations that end alike share a line."""
    groups = {}
    for variant, build in CASES[name].items():
        keras.backend.clear_session()
        keras.utils.set_random_seed(0)
        model = build()
        cells = tuple(cell(model, target) for target in FORMATS)
        groups.setdefault(cells, []).append(variant)
    if len(groups) == 1:
        return [_line(f"`{name}`", next(iter(groups)))]
    return [
        _line(f"`{name}`: {'; '.join(variant or 'default' for variant in variants)}", cells)
        for cells, variants in groups.items()
    ]


def listed(name):
    """Return the lines of the committed page for one layer."""
    return [
        line
        for line in PAGE.read_text(encoding="utf-8").splitlines()
        if line.startswith((f"| `{name}`:", f"| `{name}` |"))
    ]


def _line(title, cells):
    return f"| {title} | {' | '.join(cells)} |"


def reason_of(error):
    """Return why an export was refused, in a few words."""
    if isinstance(error, UnsupportedOperatorError):
        return f"the target has no `{error.operator}`"
    kinds = {
        ParityError: "the converter's file answers differently",
        RuntimeFailureError: "the runtime cannot run the converter's file",
        ConverterCrashError: "the converter fails",
    }
    return kinds.get(type(error), " ".join(str(error).split()))


def main():
    """Write the page."""
    job._LATENCY_SECONDS = 0.0
    lines = [INTRODUCTION, f"| layer | {' | '.join(FORMATS.values())} |", "|---|---|---|---|"]
    with shared_worker():
        for index, name in enumerate(sorted(CASES), 1):
            sys.stderr.write(f"\r{index}/{len(CASES)} {name:48}")
            lines += rows(name)
    lines += ["", "These are no part of an inference graph:", "", "| layer | it |", "|---|---|"]
    lines += [f"| `{name}` | {reason} |" for name, reason in sorted(NOT_IN_A_GRAPH.items())]
    PAGE.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
