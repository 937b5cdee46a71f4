"""Rotations by position, against complex numbers."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_nnx.layers import RotaryEmbedding

RANDOM = np.random.default_rng(0)


def turned(x, frequencies):
    """Rotate pairs (i, i + d/2) of `x` (b, t, d) as complex numbers."""
    half = x.shape[-1] // 2
    numbers = (x[..., :half] + 1j * x[..., half:]) * np.exp(1j * np.arange(x.shape[1])[:, None] * frequencies)
    return np.concatenate([numbers.real, numbers.imag], -1)


def frequencies(dim, base=10000.0):
    return base ** (-np.arange(0, dim, 2) / dim)


@given(length=st.integers(1, 9), half=st.integers(1, 5), base=st.floats(1, 1e6))
def test_pairs_turn_by_their_position(length, half, base):
    x = RANDOM.standard_normal((2, length, 2 * half))
    expected = turned(x, frequencies(2 * half, base))
    np.testing.assert_allclose(RotaryEmbedding(base)(x.astype("float32")), expected, rtol=1e-4, atol=1e-4)


def test_heads_turn_alike():
    x = RANDOM.standard_normal((2, 5, 3, 8)).astype("float32")
    outputs = RotaryEmbedding()(x)
    for head in range(3):
        np.testing.assert_allclose(outputs[:, :, head], RotaryEmbedding()(x[:, :, head]), rtol=1e-6, atol=1e-6)


def test_products_depend_on_the_distance_alone():
    query, key = (np.tile(RANDOM.standard_normal((1, 1, 8)), (1, 9, 1)).astype("float32") for _ in range(2))
    products = np.einsum("btd,bsd->ts", RotaryEmbedding(10.0)(query), RotaryEmbedding(10.0)(key))
    for distance in range(-8, 9):
        along = np.diagonal(products, distance)
        np.testing.assert_allclose(along, along[0], rtol=1e-4, atol=1e-4)


def test_linear_scaling_turns_all_pairs_more_slowly():
    x = RANDOM.standard_normal((1, 9, 8))
    expected = turned(x, frequencies(8) / 4)
    np.testing.assert_allclose(RotaryEmbedding(scaling="linear", factor=4.0)(x), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("length", [4, 6, 20])
def test_dynamic_scaling_follows_the_length(length):
    x = RANDOM.standard_normal((1, length, 8))
    base = 10000.0 * max(1.0, 2.0 * length / 6 - 1.0) ** (8 / 6)
    layer = RotaryEmbedding(scaling="dynamic", factor=2.0, original_length=6)
    expected = turned(x, frequencies(8, base if length > 6 else 10000.0))
    np.testing.assert_allclose(layer(x), expected, rtol=1e-5, atol=1e-5)


def test_yarn_keeps_the_fast_pairs_and_slows_the_others():
    x = RANDOM.standard_normal((1, 30, 64))
    plain = frequencies(64)
    turns = 512 * plain / (2 * math.pi)
    ramp = np.clip((turns - 1) / 31, 0, 1)
    assert ramp[0] == 1
    assert ramp[-1] == 0
    expected = turned(x, (1 - ramp) * plain / 8 + ramp * plain) * (0.1 * math.log(8) + 1)
    layer = RotaryEmbedding(scaling="yarn", factor=8.0, original_length=512)
    np.testing.assert_allclose(layer(x), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "shape", "message"),
    [
        ({"scaling": "cubic"}, None, "'none', 'linear', 'dynamic', 'yarn'"),
        ({"scaling": "yarn"}, None, "needs original_length"),
        ({"factor": 0.5}, None, "factor=0.5"),
        ({"base": 0}, None, "base=0"),
        ({}, (1, 4, 7), "even"),
        ({}, (1, 4), r"\(b, t, d\)"),
        ({}, (1, 4, None), "last axis"),
    ],
)
def test_what_does_not_fit_is_an_error(arguments, shape, message):
    with pytest.raises(ValueError, match=message):
        RotaryEmbedding(**arguments).compute_output_shape(shape)
