"""Attention and a feed-forward network, each normalised first and added."""

import math

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_nnx.blocks import TransformerEncoderBlock

HEADS = 2


def normalise(tokens, gamma, beta, epsilon):
    mean, variance = tokens.mean(-1, keepdims=True), tokens.var(-1, keepdims=True)
    return (tokens - mean) / np.sqrt(variance + epsilon) * gamma + beta


def attend(tokens, weights, mask):
    """Multi-head attention of tokens to the valid ones of their own sequence."""
    batch, length, dim = tokens.shape
    query, key, value = (
        (tokens @ weights[2 * index] + weights[2 * index + 1]).reshape(batch, length, HEADS, -1).swapaxes(1, 2)
        for index in range(3)
    )
    scores = np.einsum("bntk,bnsk->bnts", query, key) / math.sqrt(query.shape[-1])
    scores = np.exp(scores - scores.max(-1, keepdims=True)) * mask[:, None, None]
    heads = np.einsum("bnts,bnsk->bntk", scores / scores.sum(-1, keepdims=True), value)
    return heads.swapaxes(1, 2).reshape(batch, length, dim) @ weights[6] + weights[7]


def reference(block, tokens, mask):
    """The block at inference, in numpy; its activation is relu."""
    tokens = tokens.astype("float64")
    normalised = normalise(tokens, *block.attention_norm.get_weights(), block.epsilon)
    tokens = tokens + attend(normalised, block.attention.get_weights(), mask)
    normalised = normalise(tokens, *block.feed_forward_norm.get_weights(), block.epsilon)
    kernel_1, bias_1, kernel_2, bias_2 = block.feed_forward.get_weights()
    return tokens + np.maximum(normalised @ kernel_1 + bias_1, 0) @ kernel_2 + bias_2


@pytest.mark.parametrize("lengths", [[5, 5], [5, 3]])
def test_the_equation(lengths):
    block = TransformerEncoderBlock(HEADS, 9, activation="relu", epsilon=1e-2)
    random = np.random.default_rng(0)
    tokens = random.standard_normal((2, 5, 6)).astype("float32")
    block.build(tokens.shape)
    block.set_weights([value + random.uniform(-0.3, 0.3, value.shape) for value in block.get_weights()])
    mask = np.arange(5)[None] < np.array(lengths)[:, None]
    expected = reference(block, tokens, mask)
    received = np.asarray(block(tokens, mask=mask))
    np.testing.assert_allclose(received[mask], expected[mask], rtol=1e-4, atol=1e-5)


def test_an_example_of_padding_alone_stays_finite():
    block = TransformerEncoderBlock(2, 8)
    tokens = np.random.default_rng(0).standard_normal((2, 3, 4)).astype("float32")
    outputs = block(tokens, mask=np.array([[True, True, True], [False, False, False]]))
    assert np.isfinite(outputs).all()


@given(heads=st.integers(1, 4), size=st.integers(1, 4), length=st.integers(1, 6), batch=st.integers(1, 3))
def test_any_shape_stays(heads, size, length, batch):
    tokens = np.zeros((batch, length, heads * size), "float32")
    assert TransformerEncoderBlock(heads, 5)(tokens).shape == tokens.shape


def test_a_skipped_branch_adds_nothing():
    block = TransformerEncoderBlock(2, 8, stochastic_depth=0.5, seed=0)
    tokens = np.random.default_rng(0).standard_normal((256, 1, 4)).astype("float32")
    outputs = np.asarray(block(tokens, training=True))
    untouched = (outputs == tokens).all(axis=(1, 2)).mean()
    assert untouched == pytest.approx(0.25, abs=0.08)


def test_the_two_branches_are_skipped_independently():
    block = TransformerEncoderBlock(2, 8, stochastic_depth=0.5, seed=3)
    block.build((None, 1, 4))
    ones = np.ones((256, 1, 4), "float32")
    first, second = (
        np.asarray(depth(ones, training=True))[:, 0, 0] > 0
        for depth in (block.attention_depth, block.feed_forward_depth)
    )
    assert (first & second).mean() == pytest.approx(0.25, abs=0.08)


def test_the_same_seed_draws_the_same():
    tokens = np.random.default_rng(0).standard_normal((8, 3, 4)).astype("float32")
    blocks = [TransformerEncoderBlock(2, 8, dropout=0.3, stochastic_depth=0.3, seed=seed) for seed in (1, 1, 2)]
    for block in blocks:
        block.build(tokens.shape)
        block.set_weights(blocks[0].get_weights())
    first, same, other = (np.asarray(block(tokens, training=True)) for block in blocks)
    np.testing.assert_array_equal(first, same)
    assert (first != other).any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_heads": 0}, r"\(num_heads=0\) needs an integer of at least 1"),
        ({"hidden_dim": 1.5}, r"\(hidden_dim=1\.5\) needs an integer of at least 1"),
        ({"dropout": 1}, r"\(dropout=1\) needs a number of at least 0 and under 1"),
        ({"stochastic_depth": -0.5}, r"\(stochastic_depth=-0\.5\) needs a number of at least 0 and under 1"),
        ({"epsilon": 0}, r"\(epsilon=0\) needs a number over 0"),
        ({"epsilon": "small"}, r"\(epsilon='small'\) needs a number over 0"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=f"TransformerEncoderBlock{message}"):
        TransformerEncoderBlock(**{"num_heads": 2, "hidden_dim": 8, **arguments})


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((6,), r"expects inputs of shape \(b t d\), but received \(None, 6\)"),
        ((5, None), r"needs to know .* received .*\(None, 5, None\)"),
        ((5, 7), r"\(num_heads=2\) cannot split tokens of size 7 evenly: choose a number of heads that divides 7"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(shape, message):
    with pytest.raises(ValueError, match=rf"(TransformerEncoderBlock|MultiHeadAttention) ?{message}"):
        TransformerEncoderBlock(2, 8)(keras.Input(shape))


def test_options_go_before_the_arguments_that_they_name():
    block = TransformerEncoderBlock(2, 16, feed_forward_options={"activation": "relu", "hidden_dim": 6})
    block.build((None, 5, 8))
    assert block.feed_forward.activation is keras.activations.relu
    assert block.feed_forward.widen.units == 6
