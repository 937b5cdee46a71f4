"""Whole examples dropped, and what stays scaled."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_nnx.layers import StochasticDepth


def kept(layer, batch=64):
    """Which examples of a batch of ones survive a training call."""
    return np.asarray(layer(np.ones((batch, 2), "float32"), training=True))[:, 0] > 0


@given(rate=st.floats(0, 0.9), shape=st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_an_example_is_dropped_as_a_whole_or_scaled_as_a_whole(rate, shape):
    branch = np.random.default_rng(0).uniform(0.5, 2, shape).astype("float32")
    outputs = np.asarray(StochasticDepth(rate, seed=1)(branch, training=True))
    for example, original in zip(outputs, branch, strict=True):
        if example.any():
            np.testing.assert_allclose(example, original / (1 - rate), rtol=1e-5)
        else:
            np.testing.assert_array_equal(example, 0)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_the_mean_stays(rate):
    branch = np.ones((20_000, 1), "float32")
    outputs = np.asarray(StochasticDepth(rate, seed=1)(branch, training=True))
    assert (outputs == 0).mean() == pytest.approx(rate, abs=0.02)
    assert outputs.mean() == pytest.approx(1, rel=0.08)


@pytest.mark.parametrize(("rate", "training"), [(0.9, False), (0.9, None), (0.0, True)])
def test_nothing_happens_at_inference_or_at_rate_zero(rate, training):
    branch = np.random.default_rng(0).standard_normal((8, 3)).astype("float32")
    np.testing.assert_array_equal(StochasticDepth(rate)(branch, training=training), branch)


def test_the_same_seed_drops_the_same_and_each_call_anew():
    layer = StochasticDepth(0.5, seed=1)
    first, second = kept(layer), kept(layer)
    assert (first != second).any()
    again = StochasticDepth(0.5, seed=1)
    np.testing.assert_array_equal(kept(again), first)
    np.testing.assert_array_equal(kept(again), second)
    assert (kept(StochasticDepth(0.5, seed=2)) != first).any()


@pytest.mark.parametrize("rate", [1, -0.5, 1.5, "0.5", None, True])
def test_a_rate_that_is_no_probability_is_refused(rate):
    with pytest.raises(ValueError, match=r"StochasticDepth\(rate=.*\) needs a number of at least 0 and under 1"):
        StochasticDepth(rate)
