"""The JAX backend measures the same: one process for all metrics."""

import os
import subprocess
import sys

import numpy as np
import pytest

from tests.metrics.on_jax import KINDS, measured


@pytest.mark.multiprocess
def test_jax_equals_tensorflow(tmp_path, pytestconfig, subtests):
    done = subprocess.run(
        [sys.executable, "-m", "tests.metrics.on_jax", str(tmp_path / "values.npz")],
        cwd=pytestconfig.rootpath,
        env={**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    with np.load(tmp_path / "values.npz") as archive:
        on_jax = dict(archive)
    for kind in KINDS:
        with subtests.test(kind):
            values = measured(kind)
            np.testing.assert_allclose(on_jax[kind], values, rtol=1e-3, atol=1e-6)
            assert (values[0] != values[1]).any()
