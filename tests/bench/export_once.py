"""One export in a process of its own: `python -m tests.bench.export_once MODEL stock|ours FORMATS FOLDER`.

Prints the seconds of each format that stock wrote, or of all together, as JSON.
"""

import json
import shutil
import sys
import time
from pathlib import Path

import keras_nnx as nnx
from tests.bench.models import build

NAMES = {"saved_model": "saved_model", "onnx": "model.onnx", "tflite": "model.tflite"}
STOCK_FORMATS = {"saved_model": "tf_saved_model", "onnx": "onnx", "tflite": "litert"}


def stock(model, formats, folder):
    folder.mkdir()
    refused = {}
    for name in formats:
        try:
            model.export(folder / NAMES[name], format=STOCK_FORMATS[name], verbose=False)
        except Exception as error:  # noqa: BLE001  (whatever it is, stock has no such file, and the table says so)
            refused[name] = f"{type(error).__name__}: {error}".splitlines()[0][:200]
            path = folder / NAMES[name]
            shutil.rmtree(path, ignore_errors=True)
            path.unlink(missing_ok=True)
    return refused


def ours(model, formats, folder):
    nnx.export_model(model, folder, formats=formats)
    return {}


def main(name, by, formats, folder):
    model = build(name, by)
    start = time.perf_counter()
    refused = {"stock": stock, "ours": ours}[by](model, formats.split(","), Path(folder))
    sys.stdout.write(json.dumps({"seconds": time.perf_counter() - start, "refused": refused}))


if __name__ == "__main__":
    main(*sys.argv[1:])
