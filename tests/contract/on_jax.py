"""A program that runs every case on the JAX backend: `python -m tests.contract.on_jax folder`.

It reads `weights.npz`, whose arrays are named `case/index`, and writes the outputs as `outputs.npz`, named `case` and,
for masked inputs, `case/masked`.
"""

import functools
import sys
from pathlib import Path

import jax
import keras
import numpy as np

from tests.contract.cases import CASES
from tests.contract.part import part_of


def answer(case, weights):
    """Return the outputs of one case, plain and masked, after a look at a step of its training."""
    layer = case.make()
    model = case.model(layer)
    layer.set_weights(weights)
    assert all(np.isfinite(value).all() for value in jax.tree.leaves(run(model, case.inputs(), training=True)))
    outputs = {str(case): np.asarray(run(model, case.inputs())[0])}
    if case.mask is not None:
        masked = case.model(layer, masked=True)
        outputs[f"{case}/masked"] = np.asarray(run(masked, with_padding(case))[0])
    return outputs


def run(model, inputs, training=False):
    """Call a model as JAX has it: compiled, without side effects; return the outputs and what was updated."""
    call = jax.jit(functools.partial(model.stateless_call, training=training))
    states = model.trainable_variables, model.non_trainable_variables
    return call(*([variable.value for variable in variables] for variables in states), inputs)


def with_padding(case):
    """Return the inputs with the end of the last example zero, which `Masking` takes for padding."""
    inputs = case.inputs()
    for value in inputs:
        value[-1, value.shape[1] // 2 :] = 0
    return inputs


def main(folder):
    """Run all cases, or the part of them that `PART` names."""
    assert keras.backend.backend() == "jax"
    assert "tensorflow" not in sys.modules
    outputs = {}
    with np.load(folder / "weights.npz") as archive:
        for case in part_of(CASES):
            count = sum(name.rpartition("/")[0] == str(case) for name in archive.files)
            outputs.update(answer(case, [archive[f"{case}/{index}"] for index in range(count)]))
    np.savez(folder / "outputs.npz", **outputs)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
