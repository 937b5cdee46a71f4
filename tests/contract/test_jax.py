"""The JAX backend computes the same: one process for all cases."""

import os
import subprocess
import sys

import numpy as np
import pytest

from tests.contract.cases import CASES
from tests.contract.on_jax import with_padding
from tests.contract.part import part_of


@pytest.fixture
def jax_outputs(tmp_path, pytestconfig):
    weights = {
        f"{case}/{index}": value
        for case in part_of(CASES)
        for index, value in enumerate(case.make_built().get_weights())
    }
    np.savez(tmp_path / "weights.npz", **weights)
    done = subprocess.run(
        [sys.executable, "-m", "tests.contract.on_jax", str(tmp_path)],
        cwd=pytestconfig.rootpath,
        env={**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        timeout=540,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    with np.load(tmp_path / "outputs.npz") as archive:
        return dict(archive)


@pytest.mark.multiprocess
@pytest.mark.timeout(600)
def test_jax_equals_tensorflow(jax_outputs, subtests):
    for case in part_of(CASES):
        layer = case.make_built()
        with subtests.test(str(case)):
            expected = case.model(layer)(case.inputs(), training=False)
            np.testing.assert_allclose(jax_outputs[str(case)], expected, rtol=1e-5, atol=1e-5)
        if case.mask is not None:
            with subtests.test(f"{case}, masked"):
                expected = case.model(layer, masked=True)(with_padding(case), training=False)
                np.testing.assert_allclose(jax_outputs[f"{case}/masked"], expected, rtol=1e-5, atol=1e-5)
