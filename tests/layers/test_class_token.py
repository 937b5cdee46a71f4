"""A token in front of a sequence."""

import keras
import numpy as np
import pytest

from keras_nnx.layers import ClassToken


def test_the_token_is_in_front_of_what_came_in():
    layer = ClassToken()
    tokens = np.random.default_rng(0).standard_normal((3, 4, 5)).astype("float32")
    outputs = np.asarray(layer(tokens))
    np.testing.assert_array_equal(outputs[:, 1:], tokens)
    np.testing.assert_array_equal(outputs[:, 0], np.tile(layer.token.numpy().reshape(1, 5), (3, 1)))


def test_the_token_starts_as_the_initializer_says():
    layer = ClassToken(initializer=keras.initializers.Constant(3.0))
    np.testing.assert_array_equal(np.asarray(layer(np.zeros((1, 2, 4), "float32")))[0, 0], 3.0)
    layer = ClassToken()
    layer.build((None, 2, 4096))
    assert layer.token.numpy().std() == pytest.approx(0.02, rel=0.05)


def test_the_mask_gains_a_valid_position():
    mask = np.array([[True, False], [False, False]])
    received = ClassToken().compute_mask(np.zeros((2, 2, 4)), mask)
    np.testing.assert_array_equal(received, [[True, True, False], [True, False, False]])
    assert ClassToken().compute_mask(np.zeros((2, 2, 4))) is None


def test_integers_are_not_what_a_token_is_rounded_to():
    outputs = ClassToken(initializer=keras.initializers.Constant(0.25))(np.ones((1, 2, 4), "int32"))
    np.testing.assert_array_equal(np.asarray(outputs)[0, :, 0], [0.25, 1.0, 1.0])


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((None, 4), r"ClassToken expects inputs of shape \(b t d\), but received \(None, 4\)\."),
        ((None, 4, None), r"ClassToken needs to know .* received .*\(None, 4, None\)"),
    ],
)
def test_shapes_that_have_no_token_are_refused(shape, message):
    with pytest.raises(ValueError, match=message):
        ClassToken().build(shape)
