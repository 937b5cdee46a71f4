"""The JAX backend trains the same: one process for all options."""

import os
import subprocess
import sys

import numpy as np
import pytest

from tests.optimizers.on_jax import OPTIONS, network, trained


@pytest.mark.multiprocess
def test_jax_equals_tensorflow(tmp_path, pytestconfig, subtests):
    done = subprocess.run(
        [sys.executable, "-m", "tests.optimizers.on_jax", str(tmp_path / "weights.npz")],
        cwd=pytestconfig.rootpath,
        env={**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    with np.load(tmp_path / "weights.npz") as archive:
        on_jax = dict(archive)
    start = network().get_weights()
    for option in OPTIONS:
        with subtests.test(option):
            for index, value in enumerate(trained(option)):
                np.testing.assert_allclose(on_jax[f"{option}/{index}"], value, rtol=1e-4, atol=1e-5)
                assert np.abs(value - start[index]).max() > 1e-3
