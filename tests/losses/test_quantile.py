"""The pinball loss, against numpy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_nnx.losses import QuantileLoss

RANDOM = np.random.default_rng(0)
LEVELS = (0.1, 0.5, 0.9)
VALUES = RANDOM.standard_normal((4, 5)).astype("float32")
PREDICTIONS = RANDOM.standard_normal((4, 5, 3)).astype("float32")


def reference():
    losses = np.zeros((4, 5))
    for index, level in enumerate(LEVELS):
        missing = VALUES - PREDICTIONS[..., index]
        losses += np.where(missing > 0, level * missing, (level - 1) * missing) / 3
    return losses


def test_the_equation():
    np.testing.assert_allclose(QuantileLoss(LEVELS, reduction=None)(VALUES, PREDICTIONS), reference(), rtol=1e-5)


@pytest.mark.parametrize("shape", [(4, 1), (4, 5)])
def test_weights(shape):
    weights = RANDOM.uniform(size=shape).astype("float32")
    received = QuantileLoss(LEVELS)(VALUES, PREDICTIONS, sample_weight=weights)
    np.testing.assert_allclose(received, (reference() * weights).mean(), rtol=1e-5)


@pytest.mark.parametrize("level", [0.1, 0.5, 0.8])
def test_the_quantile_costs_least(level):
    values = np.sort(RANDOM.exponential(size=199)).astype("float32")
    loss = QuantileLoss((level,))
    costs = [float(loss(values, np.full((199, 1), guess))) for guess in values]
    assert abs(int(np.argmin(costs)) - level * 199) <= 2


def test_the_gradient_pulls_by_the_level():
    predictions = tf.constant([[0.0, 0.0, 0.0]])
    for value, expected in ((1.0, [-0.1, -0.5, -0.9]), (-1.0, [0.9, 0.5, 0.1])):
        with tf.GradientTape() as tape:
            tape.watch(predictions)
            loss = QuantileLoss(LEVELS, reduction="sum")(np.array([value]), predictions)
        np.testing.assert_allclose(tape.gradient(loss, predictions)[0] * 3, expected, rtol=1e-5)


def test_float16_is_computed_in_float32():
    loss = QuantileLoss(LEVELS)(np.full((9, 9), 6e4, "float16"), np.full((9, 9, 3), -6e4, "float16"))
    assert loss.dtype == "float32"
    np.testing.assert_allclose(loss, 6e4, rtol=1e-2)


def test_a_compiled_model_is_saved_with_it(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    model.compile("sgd", QuantileLoss(LEVELS))
    model.save(tmp_path / "model.keras")
    assert keras.saving.load_model(tmp_path / "model.keras").loss.get_config() == QuantileLoss(LEVELS).get_config()


@pytest.mark.parametrize("quantiles", [(), 0.5, (0.0, 0.5), (0.5, 0.5), (0.9, 0.1), ("0.5",), None])
def test_quantiles_that_do_not_rise_between_0_and_1_are_refused(quantiles):
    with pytest.raises(ValueError, match=r"quantiles=.* needs numbers between 0 and 1, each larger"):
        QuantileLoss(quantiles)


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 2), (4, 4, 3), (4, 5, 1, 3)])
def test_shapes_that_do_not_belong_together_are_refused(shape):
    with pytest.raises(ValueError, match=r"with 3 quantiles expects values of any shape.*received \(4, 5\) and"):
        QuantileLoss(LEVELS)(VALUES, np.zeros(shape, "float32"))
