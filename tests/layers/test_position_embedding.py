"""A vector for every position."""

import keras
import numpy as np
import pytest

from keras_nnx.layers import PositionEmbedding


def test_every_position_gets_its_own_vector():
    layer = PositionEmbedding()
    tokens = np.random.default_rng(0).standard_normal((3, 4, 5)).astype("float32")
    outputs = np.asarray(layer(tokens))
    positions = layer.positions.numpy()
    assert positions.shape == (4, 5)
    np.testing.assert_allclose(outputs - tokens, np.tile(positions, (3, 1, 1)), atol=1e-6)
    assert len(np.unique(positions)) == positions.size


def test_the_vectors_start_as_the_initializer_says():
    layer = PositionEmbedding(initializer=keras.initializers.Constant(3.0))
    np.testing.assert_array_equal(layer(np.zeros((1, 2, 4), "float32")), np.full((1, 2, 4), 3.0))
    layer = PositionEmbedding()
    layer.build((None, 64, 64))
    assert layer.positions.numpy().std() == pytest.approx(0.02, rel=0.05)


def test_integers_are_not_what_the_vectors_are_rounded_to():
    outputs = PositionEmbedding(initializer=keras.initializers.Constant(0.25))(np.ones((1, 2, 4), "int32"))
    np.testing.assert_array_equal(outputs, np.full((1, 2, 4), 1.25))


@pytest.mark.parametrize("shape", [(None, None, 4), (None, 4, None)])
def test_unknown_sizes_are_refused(shape):
    with pytest.raises(ValueError, match=r"needs to know their number and size, but received .*: give the input a fix"):
        PositionEmbedding().build(shape)


def test_another_rank_is_refused():
    with pytest.raises(ValueError, match=r"PositionEmbedding expects inputs of shape \(b t d\), but received \(2, 4\)"):
        PositionEmbedding()(np.zeros((2, 4), "float32"))


@pytest.mark.parametrize("length", [1, 5])
def test_another_length_is_refused(length):
    layer = PositionEmbedding()
    layer.build((None, 4, 8))
    with pytest.raises(ValueError, match=rf"was built for 4 positions and received {length}: build another model"):
        layer(np.zeros((2, length, 8), "float32"))
