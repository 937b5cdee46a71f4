"""Forms of recurrence beside each other: `python -m tests.bench.recurrence GRU|LSTM BATCH SECONDS FOLDER`.

Prints the median milliseconds of each comparison and the bytes of the files, as JSON.
"""

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

UNITS, STEPS, WIDTH = 128, 100, 64
KINDS, BATCHES = ("GRU", "LSTM"), (1, 16)
GATES = {"GRU": 3, "LSTM": 4}
COMPARISONS = {
    "ONNX Runtime: ours / stock": ("ours", "stock"),
    "ONNX Runtime: ours / the products alone, in NumPy": ("ours", "products"),
    "TFLite: loop / unrolled": ("loop", "unroll"),
    "TFLite: fused / loop": ("fused", "loop"),
}
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def steps(_options):
    return len(KINDS) * len(BATCHES)


def measure(options, folder, step):
    """Return what was measured, by kind and batch."""
    found = {}
    for kind, batch in itertools.product(KINDS, BATCHES):
        step(f"{kind}, batch of {batch}: five exports, and their files in turns")
        place = folder / f"{kind}{batch}"
        place.mkdir()
        command = [sys.executable, "-m", "tests.bench.recurrence", kind, str(batch), str(options.seconds), str(place)]
        environment = {**os.environ, **ONE_THREAD}
        printed = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment).stdout
        found[kind, batch] = json.loads(printed.splitlines()[-1])
    return found


def tables(results):
    lines = [
        "## Recurrence",
        "",
        f"{UNITS} units over {STEPS} steps of {WIDTH}, all outputs, one thread.",
        "",
        "| layer | batch | first / second | first, ms | second, ms | ratio |",
        "|---|---|---|---|---|---|",
    ]
    for (kind, batch), found in results.items():
        for title, (first, second) in found["medians"].items():
            lines.append(f"| {kind} | {batch} | {title} | {first:.3f} | {second:.3f} | {first / second:.2f} |")
    lines += [
        "",
        "| TFLite file | form | kB | without weights, kB | over the loop's | over the loop's, without weights |",
        "|---|---|---|---|---|---|",
    ]
    for (kind, batch), found in results.items():
        if batch == BATCHES[0]:
            lines += list(_sizes(kind, found["bytes"], found["weights"]))
    return lines


def _sizes(kind, sizes, weights):
    for form, size in sizes.items():
        whole, rest = size / sizes["loop"], (size - weights) / (sizes["loop"] - weights)
        yield f"| {kind} | {form} | {size / 1e3:.0f} | {(size - weights) / 1e3:.0f} | {whole:.2f} | {rest:.2f} |"


def export(kind, batch, folder):
    """Write the files; return their paths and the bytes of the weights."""
    import keras

    import keras_nnx as nnx

    keras.utils.set_random_seed(0)
    layer = getattr(keras.layers, kind)(UNITS, return_sequences=True)
    model = keras.Sequential([keras.Input((STEPS, WIDTH)), layer])
    model(keras.ops.zeros((1, STEPS, WIDTH)))  # stock exports no model that was never called
    paths = {"stock": folder / "stock.onnx", "ours": folder / "ours" / "model.onnx"}
    model.export(paths["stock"], format="onnx", verbose=False)
    nnx.export_model(model, folder / "ours", formats=("onnx",))
    known = keras.Input((STEPS, WIDTH), batch_size=batch)
    for form in ("loop", "unroll", *(["fused"] if kind == "LSTM" else [])):
        nnx.export_model(model, folder / form, formats=("tflite",), recurrent=form, input_signature=known)
        paths[form] = folder / form / "model.tflite"
    return paths, 4 * model.count_params()


def products(kind, batch):
    """Return the matrix products of a layer as a function: that of all inputs at once, and one for each step."""
    import numpy as np

    random = np.random.default_rng(0)
    sizes = (STEPS * batch, WIDTH), (WIDTH, GATES[kind] * UNITS), (batch, UNITS), (UNITS, GATES[kind] * UNITS)
    inputs, kernel, state, recurrent = (random.normal(size=size).astype("float32") for size in sizes)
    projected, product = np.empty((STEPS * batch, GATES[kind] * UNITS), "float32"), np.empty_like(state @ recurrent)

    def run():
        np.matmul(inputs, kernel, out=projected)
        for _ in range(STEPS):
            np.matmul(state, recurrent, out=product)

    return run


def main(kind, batch, seconds, folder):
    import numpy as np

    from tests.bench.latency import WARM_UP, in_turns, onnx_runner, tflite_runner

    paths, weights = export(kind, int(batch), Path(folder))
    samples = {"input": np.random.default_rng(1).normal(size=(int(batch), STEPS, WIDTH)).astype("float32")}
    runners = {"products": products(kind, int(batch))}
    for who, path in paths.items():
        runners[who] = {".onnx": onnx_runner, ".tflite": tflite_runner}[path.suffix](str(path), samples, 1)
    answers = {who: run()[0] for who, run in runners.items() if who != "products"}
    for who, answer in answers.items():
        np.testing.assert_allclose(answer, answers["stock"], atol=1e-5, err_msg=who)
    medians = {}
    for title, pair in COMPARISONS.items():
        if set(pair) <= set(runners):
            for _, who in itertools.product(range(WARM_UP), pair):
                runners[who]()
            found = in_turns({who: runners[who] for who in pair}, float(seconds))
            medians[title] = [found[who] for who in pair]
    sizes = {who: path.stat().st_size for who, path in paths.items() if path.suffix == ".tflite"}
    sys.stdout.write(json.dumps({"medians": medians, "bytes": sizes, "weights": weights}))


if __name__ == "__main__":
    main(*sys.argv[1:])
