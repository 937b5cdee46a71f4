"""Compiled or not, in whole or half precision: the same numbers."""

import ml_dtypes
import numpy as np
import pytest
import tensorflow as tf

EPSILON = {"float16": float(np.finfo(np.float16).eps), "bfloat16": float(ml_dtypes.finfo("bfloat16").eps)}
HALF_POLICIES = ("mixed_float16", "mixed_bfloat16", "float16", "bfloat16")
ROUNDINGS = 16
"""How many roundings of the largest value a half-precision answer may be away."""


@pytest.mark.parametrize("jit_compile", [False, True], ids=["graph", "xla"])
def test_compiled_equals_eager(case, jit_compile):
    model = case.model(case.make_built())
    compiled = tf.function(lambda *tensors: model(list(tensors), training=False), jit_compile=jit_compile)
    eager = model(case.inputs(), training=False)
    np.testing.assert_allclose(compiled(*map(tf.constant, case.inputs())), eager, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("policy", HALF_POLICIES)
def test_half_precision_is_near(case, policy):
    full = case.make_built()
    half = case.make(dtype=policy)
    half.build(*case.sized())
    half.set_weights(full.get_weights())
    outputs = case.model(half)(case.inputs(), training=False)
    compute = policy.removeprefix("mixed_")
    assert outputs.dtype == compute
    expected = np.asarray(case.model(full)(case.inputs(), training=False))
    tolerance = ROUNDINGS * EPSILON[compute] * max(1.0, np.abs(expected).max())
    np.testing.assert_allclose(np.asarray(outputs, "float32"), expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("policy", HALF_POLICIES)
def test_the_policy_reaches_every_child(case, policy):
    layer = case.make_built(dtype=policy)
    assert {child.dtype_policy.name for child in layer._flatten_layers()} == {policy}
    variable = "float32" if policy.startswith("mixed_") else policy
    assert {weight.dtype for weight in layer.trainable_weights} <= {variable}
