"""The time of a training step: `python -m tests.bench.training NETWORK graph|xla STEPS`, ours and stock in turns.

Prints the seconds of the steps of both, and how far their answers were apart, as JSON.
"""

import json
import statistics
import sys
import time

from tests.bench import memory
from tests.bench.networks import CLOSE, NETWORKS, batch, difference, pair

COMPILED = {"graph": False, "xla": True}
WARM_UP = 3


def steps(options):
    return len(_chosen(options)) * len(COMPILED)


def measure(options, folder, step):
    """Return the child's report for each network, compiled by TensorFlow's graphs and by XLA."""
    results = {}
    for name in _chosen(options):
        for how in COMPILED:
            step(f"{name}: training by {how}")
            command = [sys.executable, "-m", "tests.bench.training", name, how, str(options.steps)]
            results[name, how] = json.loads(memory.run(command)[0].splitlines()[-1])
    return results


def tables(results):
    lines = [
        "## Training",
        "",
        "| network | batch | jit_compile | ours, ms | stock, ms | ours / stock | half of the pairs |",
        "|---|---|---|---|---|---|---|",
    ]
    for (name, how), found in results.items():
        ours, stock = (statistics.median(found["seconds"][who]) * 1e3 for who in ("ours", "stock"))
        ratios = [first / second for first, second in zip(*found["seconds"].values(), strict=True)]
        low, _, high = statistics.quantiles(ratios, n=4)
        lines.append(
            f"| {name} | {NETWORKS[name].batch} | {COMPILED[how]} | {ours:.0f} | {stock:.0f} | {ours / stock:.3f} "
            f"| {low:.2f} to {high:.2f} |"
        )
    return lines


def _chosen(options):
    return [name for name in options.models if name in NETWORKS]


def main(name, how, count):
    models = dict(zip(("ours", "stock"), pair(name), strict=True))
    inputs, answers = batch(models["ours"], NETWORKS[name].batch)
    apart = difference(*models.values(), inputs[:4])
    assert apart < CLOSE, f"{name}: the logits are {apart:.1e} apart"
    seconds = {who: [] for who in models}
    for model in models.values():
        model.compile("adam", "sparse_categorical_crossentropy", jit_compile=COMPILED[how])
        for _ in range(WARM_UP):
            model.train_on_batch(inputs, answers)
    for _ in range(int(count)):
        for who, model in models.items():
            start = time.perf_counter()
            model.train_on_batch(inputs, answers)
            seconds[who].append(time.perf_counter() - start)
    sys.stdout.write(json.dumps({"seconds": seconds, "difference": apart}))


if __name__ == "__main__":
    main(*sys.argv[1:])
