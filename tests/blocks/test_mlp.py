"""The multilayer perceptron with a way past it."""

import keras
import numpy as np
import pytest

from keras_nnx.blocks import MLPBlock

VALUES = np.random.default_rng(0).standard_normal((6, 8)).astype("float32")


@pytest.mark.parametrize("units", [None, 5])
def test_the_equation(units):
    block = MLPBlock(12, units=units)
    block.build(VALUES.shape)
    block.set_weights([np.random.default_rng(1).standard_normal(weight.shape) for weight in block.get_weights()])
    gamma, beta, first, first_bias, second, second_bias, *rest = block.get_weights()
    normal = (VALUES - VALUES.mean(1, keepdims=True)) / np.sqrt(VALUES.var(1, keepdims=True) + 1e-6)
    hidden = np.maximum((normal * gamma + beta) @ first + first_bias, 0)
    past = VALUES @ rest[0] + rest[1] if units else VALUES
    np.testing.assert_allclose(block(VALUES), past + hidden @ second + second_bias, rtol=1e-4, atol=1e-4)


def test_padding_is_out_of_the_averages_of_a_batch():
    sequences = np.random.default_rng(2).standard_normal((4, 6, 8)).astype("float32")
    mask = np.arange(6)[None] < np.array([[3], [6], [2], [5]])
    averages = []
    for padding in (0.0, 9.0):
        block = MLPBlock(12, normalization="batch")
        block(np.where(mask[..., None], sequences, padding), mask=keras.ops.convert_to_tensor(mask), training=True)
        averages.append(keras.ops.convert_to_numpy(block.norm.moving_mean))
    np.testing.assert_allclose(averages[0], averages[1], rtol=1e-5)
    np.testing.assert_allclose(averages[0], 0.01 * sequences[mask].mean(0), rtol=1e-3, atol=1e-5)


def test_skipping_leaves_what_came_in():
    block = MLPBlock(12, stochastic_depth=0.999999, seed=1)
    np.testing.assert_allclose(block(VALUES, training=True), VALUES)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"hidden_dim": 0}, r"MLPBlock\(hidden_dim=0\) needs an integer of at least 1"),
        (
            {"hidden_dim": 4, "normalization": "rms"},
            r"normalization='rms'\) is unknown: choose one of 'layer', 'batch'",
        ),
        ({"hidden_dim": 4, "epsilon": 0}, r"MLPBlock\(epsilon=0\) needs a number over 0"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        MLPBlock(**arguments)
