"""The memory of one training step of causal attention: `python -m tests.bench.attention LENGTH CHUNK graph|xla`.

Prints by how many bytes the step's peak exceeds what the process held before it; CHUNK 0 is attention without chunks.
"""

import itertools
import json
import statistics
import subprocess
import sys
from pathlib import Path

CHUNK = 256
LENGTHS = {0: (1024, 2048, 4096), CHUNK: (1024, 2048, 4096, 8192)}
KINDS = {0: "plain", CHUNK: f"chunk_size={CHUNK}"}
HOW = ("graph", "xla")
LINEAR = 2.8
"""A doubling of the length adds twice as much as the one before if memory is linear, four times if it is quadratic."""


def steps(options):
    return options.rounds * len(HOW) * sum(len(lengths) for lengths in LENGTHS.values())


def measure(options, folder, step):
    """Return the median bytes by kind, how it was compiled, and length."""
    found = {}
    for turn, how, chunk in itertools.product(range(options.rounds), HOW, LENGTHS):
        for length in LENGTHS[chunk]:
            step(f"attention over {length}, {KINDS[chunk]}, {how}, {turn + 1} of {options.rounds}")
            command = [sys.executable, "-m", "tests.bench.attention", str(length), str(chunk), how]
            printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            found.setdefault((chunk, how), {}).setdefault(length, []).append(json.loads(printed.splitlines()[-1]))
    return {kind: {length: statistics.median(values) for length, values in of.items()} for kind, of in found.items()}


def tables(results):
    lines = [
        "## Memory of attention",
        "",
        f"| attention | jit_compile | {' | '.join(f'{length}, MB' for length in LENGTHS[CHUNK])} | growth |",
        "|---|---|" + "---|" * (len(LENGTHS[CHUNK]) + 1),
    ]
    for (chunk, how), found in results.items():
        cells = [f"{found[length] / 1e6:.0f}" if length in found else "" for length in LENGTHS[CHUNK]]
        lines.append(f"| {KINDS[chunk]} | {how == 'xla'} | {' | '.join(cells)} | {_growth(found)} |")
    return lines


def _growth(found):
    """Return whether memory grows linearly: by what the last two doublings added, which what is constant is not in."""
    *_, first, second, third = (found[length] for length in sorted(found))
    times = (third - second) / max(second - first, 1)
    return f"{'linear' if times < LINEAR else 'not linear'} ({times:.1f})"


def main(length, chunk, how):
    import numpy as np
    import tensorflow as tf

    from keras_nnx.layers import MultiHeadAttention

    layer = MultiHeadAttention(4, causal=True, chunk_size=int(chunk) or None)
    layer.build((1, int(length), 64))
    inputs = tf.constant(np.random.default_rng(0).normal(size=(1, int(length), 64)).astype("float32"))

    @tf.function(jit_compile=how == "xla")
    def step(inputs):
        weights = [variable.value for variable in layer.trainable_variables]
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            total = tf.reduce_sum(tf.square(layer(inputs)))
        return tape.gradient(total, [*weights, inputs])

    step.get_concrete_function(inputs)
    before = _memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    step(inputs)
    sys.stdout.write(json.dumps(_memory("VmHWM") - before))


def _memory(kind):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{kind}:"))


if __name__ == "__main__":
    main(*sys.argv[1:])
