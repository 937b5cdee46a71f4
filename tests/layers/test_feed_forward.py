"""Widen, activate, narrow."""

import math

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_nnx.layers import FeedForward


def gelu(x):
    return x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


@pytest.mark.parametrize(
    ("arguments", "activation"),
    [({}, gelu), ({"activation": "relu"}, lambda x: np.maximum(x, 0)), ({"activation": None}, lambda x: x)],
)
def test_the_equation(arguments, activation):
    layer = FeedForward(7, **arguments)
    tokens = np.random.default_rng(0).standard_normal((3, 4, 5)).astype("float32")
    layer.build(tokens.shape)
    layer.set_weights([value + 0.1 for value in layer.get_weights()])
    kernel_1, bias_1, kernel_2, bias_2 = layer.get_weights()
    expected = activation(tokens @ kernel_1 + bias_1) @ kernel_2 + bias_2
    np.testing.assert_allclose(layer(tokens), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("activation", "function"),
    [("sigmoid", lambda x: 1 / (1 + np.exp(-x))), ("gelu", gelu), ("silu", lambda x: x / (1 + np.exp(-x))), (None, 1)],
)
def test_the_gated_equation(activation, function):
    layer = FeedForward(7, activation, gated=True, use_bias=False)
    tokens = np.random.default_rng(0).standard_normal((3, 4, 5)).astype("float32")
    layer.build(tokens.shape)
    first, second = layer.get_weights()
    gate, value = np.split(tokens @ first, 2, axis=-1)
    expected = ((function(gate) if callable(function) else gate) * value) @ second
    np.testing.assert_allclose(layer(tokens), expected, rtol=1e-5, atol=1e-5)


def test_hidden_values_are_dropped_in_training_alone():
    tokens = np.ones((1, 1, 4), "float32")
    layer = FeedForward(4000, activation=None, dropout=0.25, seed=1)
    layer.build(tokens.shape)
    layer.set_weights([np.full_like(value, 1 / 4000) for value in layer.get_weights()])
    at_rest, in_training = (float(layer(tokens, training=training)[0, 0, 0]) for training in (False, True))
    assert in_training != at_rest
    assert in_training == pytest.approx(at_rest, rel=0.05)


def test_the_same_seed_drops_the_same():
    tokens = np.ones((2, 3, 4), "float32")
    layers = [FeedForward(8, dropout=0.5, seed=seed) for seed in (1, 1, 2)]
    for layer in layers:
        layer.build(tokens.shape)
        layer.set_weights(layers[0].get_weights())
    first, same, other = (np.asarray(layer(tokens, training=True)) for layer in layers)
    np.testing.assert_array_equal(first, same)
    assert (first != other).any()


@given(shape=st.lists(st.integers(1, 4), min_size=2, max_size=4), hidden_dim=st.integers(1, 9))
def test_any_rank_keeps_its_shape(shape, hidden_dim):
    layer = FeedForward(hidden_dim)
    assert layer(np.zeros(shape, "float32")).shape == tuple(shape)
    assert layer.count_params() == 2 * shape[-1] * hidden_dim + shape[-1] + hidden_dim


@pytest.mark.parametrize("hidden_dim", [0, -1, 2.5, True, "8", None])
def test_a_width_that_is_none_is_refused(hidden_dim):
    with pytest.raises(ValueError, match=r"FeedForward\(hidden_dim=.*\) needs an integer of at least 1"):
        FeedForward(hidden_dim)


@pytest.mark.parametrize("dropout", [-0.1, 1, 1.5, True, "0.1", None, float("nan")])
def test_a_dropout_that_is_no_probability_is_refused(dropout):
    with pytest.raises(ValueError, match=r"FeedForward\(dropout=.*\) needs a number of at least 0 and under 1"):
        FeedForward(8, dropout=dropout)


def test_unknown_features_are_refused():
    with pytest.raises(ValueError, match=r"FeedForward needs to know .* received .*\(None, 4, None\)"):
        FeedForward(8)(keras.Input((4, None)))


def test_numpy_integers_are_kept_as_integers():
    layer = FeedForward(np.int64(4))
    assert type(layer.get_config()["hidden_dim"]) is int
