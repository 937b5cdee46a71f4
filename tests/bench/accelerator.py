"""Training steps on an accelerator: `KERAS_BACKEND=jax python -m tests.bench.accelerator`; `--tiny` runs anywhere.

Ours and stock take steps in turns: whole programs that XLA compiled, with the loss, the gradient and Adam. Operations
are those that XLA counts in our program before it optimises. The rate of the chip is that of products of large square
matrices of the same dtype, at JAX's own precision (TensorFloat-32 for float32, where the chip has it).
"""

import argparse
import statistics
import sys
import time

import jax
import keras
from jax import numpy as jnp

from tests.bench.networks import CLOSE, NETWORKS, batch, difference, pair

POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}
WARM_UP = 3


def training_program(model, inputs, answers):
    """Return what takes one step each time it is called, and the operations of a step."""
    optimizer = keras.optimizers.Adam()
    optimizer.build(model.trainable_variables)
    loss_of = keras.losses.SparseCategoricalCrossentropy()

    def loss(trainable, fixed, inputs, answers):
        outputs, fixed = model.stateless_call(trainable, fixed, inputs, training=True)
        return loss_of(answers, outputs), fixed

    def step(state, inputs, answers):
        trainable, fixed, slots = state
        gradients, fixed = jax.grad(loss, has_aux=True)(trainable, fixed, inputs, answers)
        trainable, slots = optimizer.stateless_apply(slots, gradients, trainable)
        return trainable, fixed, slots

    groups = model.trainable_variables, model.non_trainable_variables, optimizer.variables
    state = [tuple([jnp.copy(variable.value) for variable in group] for group in groups)]
    lowered = jax.jit(step, donate_argnums=0).lower(state[0], inputs, answers)
    program = lowered.compile()

    def run():
        state[0] = program(state[0], inputs, answers)
        return state[0]

    return run, lowered.cost_analysis()["flops"]


def seconds_each(run, count):
    """Return the seconds of one of `count` runs that are waited for together."""
    start = time.perf_counter()
    for _ in range(count):
        last = run()
    jax.block_until_ready(last)
    return (time.perf_counter() - start) / count


def matrix_rate(dtype, size, options):
    """Return the operations in a second of products of square matrices."""
    left, right = (jax.random.normal(key, (size, size), dtype) for key in jax.random.split(jax.random.key(0)))
    multiply = jax.jit(jnp.matmul)
    seconds_each(lambda: multiply(left, right), WARM_UP)
    times = [seconds_each(lambda: multiply(left, right), options.steps) for _ in range(options.rounds)]
    return 2 * size**3 / statistics.median(times)


def measure(name, dtype, options):
    """Return the seconds of a step of each side, the operations in it, and how many examples it takes."""
    keras.config.set_dtype_policy(POLICIES[dtype])
    models = dict(zip(("ours", "stock"), pair(name), strict=True))
    size = 2 if options.tiny else NETWORKS[name].accelerator_batch
    inputs, answers = (jnp.asarray(value) for value in batch(models["ours"], size))
    if dtype == "float32":
        with jax.default_matmul_precision("highest"):
            apart = difference(*models.values(), inputs[:4])
        assert apart < CLOSE, f"{name}: the logits are {apart:.1e} apart"
    programs = {who: training_program(model, inputs, answers) for who, model in models.items()}
    for run, _ in programs.values():
        seconds_each(run, WARM_UP)
    times = {who: [] for who in programs}
    for _ in range(options.rounds):
        for who, (run, _) in programs.items():
            times[who].append(seconds_each(run, options.steps))
    medians = {who: statistics.median(values) for who, values in times.items()}
    return medians, programs["ours"][1], size


def options_of(arguments):
    parser = argparse.ArgumentParser(prog="python -m tests.bench.accelerator", description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", choices=list(NETWORKS), default=list(NETWORKS), help="all by default")
    parser.add_argument("--dtypes", nargs="+", choices=list(POLICIES), default=list(POLICIES), help="both by default")
    parser.add_argument("--rounds", type=int, default=20, help="turns of each side (20)")
    parser.add_argument("--steps", type=int, default=10, help="steps in a turn (10)")
    parser.add_argument("--tiny", action="store_true", help="two examples and small matrices, to try it on a processor")
    return parser.parse_args(arguments)


def main():
    if keras.backend.backend() != "jax":
        raise SystemExit("Set KERAS_BACKEND=jax: this benchmark compiles its steps with JAX.")
    options = options_of(sys.argv[1:])
    rates = {dtype: matrix_rate(dtype, 256 if options.tiny else 8192, options) for dtype in options.dtypes}
    said = ", ".join(f"{rate / 1e12:.2f} TFLOP/s in {dtype}" for dtype, rate in rates.items())
    device = jax.devices()[0].device_kind
    lines = [
        f"{device}, jax {jax.__version__}, keras {keras.__version__}; products of matrices: {said}.",
        "",
        "| network | dtype | batch | ours, ms | stock, ms | ours / stock | ours, TFLOP/s | of the products' |",
        "|---|---|---|---|---|---|---|---|",
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    for name in options.models:
        for dtype, rate in rates.items():
            medians, operations, size = measure(name, dtype, options)
            ours, stock = medians["ours"], medians["stock"]
            sys.stdout.write(
                f"| {name} | {dtype} | {size} | {ours * 1e3:.2f} | {stock * 1e3:.2f} | {ours / stock:.3f} "
                f"| {operations / ours / 1e12:.2f} | {operations / ours / rate:.1%} |\n"
            )
            sys.stdout.flush()


if __name__ == "__main__":
    main()
