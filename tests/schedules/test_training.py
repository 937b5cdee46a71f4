"""Schedules in compiled training steps, in configurations and in files."""

import copy

import keras
import numpy as np
import pytest

from keras_nnx import optimizers, schedules

EVERY = {
    "StepDecay": schedules.StepDecay(0.5, 2, 0.5, 2, 0.1),
    "MultiStepDecay": schedules.MultiStepDecay(0.5, (2, 3), 0.5),
    "ExponentialDecay": schedules.ExponentialDecay(0.5, 3, 0.5, 0.01, 1),
    "PolynomialDecay": schedules.PolynomialDecay(0.5, 6, 0.1, 2.0),
    "InverseSquareRoot": schedules.InverseSquareRoot(0.5, 2),
    "CosineRestarts": schedules.CosineRestarts(0.5, 2, period_factor=2.0, warmup_steps=1),
    "WarmupStableDecay": schedules.WarmupStableDecay(0.5, 2, 2, 2, shape="sqrt"),
    "OneCycle": schedules.OneCycle(0.5, 8, 0.4),
    "OneCycleMomentum": schedules.OneCycleMomentum(8, rising_share=0.4, shape="linear"),
    "Joined": schedules.Joined([schedules.StepDecay(0.5, 1, 1.0), schedules.PolynomialDecay(0.5, 3)], [4]),
    "Scaled": schedules.Scaled(keras.optimizers.schedules.CosineDecay(0.5, 6), 0.5, 2),
}
INPUTS, TARGETS = (np.random.default_rng(seed).standard_normal((16, 3)).astype("float32") for seed in (0, 1))


def network():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3, name="dense")])
    model.set_weights([np.eye(3, dtype="float32"), np.zeros(3, "float32")])
    return model


def test_every_schedule_is_here():
    assert set(EVERY) == {name for name in schedules.__all__ if name[0].isupper()}


@pytest.mark.parametrize("name", EVERY)
def test_a_configuration_is_what_was_passed(name):
    schedule = EVERY[name]
    entry = keras.saving.serialize_keras_object(schedule)
    assert entry["registered_name"] == f"keras_nnx>{name}"
    again = keras.saving.deserialize_keras_object(entry)
    assert keras.saving.serialize_keras_object(again) == entry
    np.testing.assert_array_equal(again.values(10), schedule.values(10))
    np.testing.assert_array_equal(copy.deepcopy(schedule).values(10), schedule.values(10))


@pytest.mark.parametrize("steps_per_execution", [1, 2])
@pytest.mark.parametrize("name", EVERY)
def test_a_compiled_step_follows(name, steps_per_execution):
    """With a loss whose gradient is 1, the weights sum up the rates."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")])
    model.compile(
        keras.optimizers.SGD(EVERY[name]),
        lambda y_true, y_pred: y_pred,
        jit_compile=True,
        steps_per_execution=steps_per_execution,
    )
    ones = np.ones((8, 1), "float32")
    model.fit(ones, ones, batch_size=1, verbose=0)
    expected = -EVERY[name].values(8).sum()
    np.testing.assert_allclose(model.get_weights()[0].item(), expected, rtol=1e-5)


def by_hand(rates, momenta, nesterov):
    """Weights after one step a pair of examples, by the equations of momentum."""
    kernel, bias = np.eye(3), np.zeros(3)
    velocities = [np.zeros((3, 3)), np.zeros(3)]
    for step in range(8):
        x, y = (array[2 * step : 2 * step + 2].astype("float64") for array in (INPUTS, TARGETS))
        error = 2 * (x @ kernel + bias - y) / y.size
        for index, (weight, gradient) in enumerate(((kernel, x.T @ error), (bias, error.sum(axis=0)))):
            velocity = velocities[index] = momenta[step] * velocities[index] - rates[step] * gradient
            weight += momenta[step] * velocity - rates[step] * gradient if nesterov else velocity
    return kernel, bias


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("compiled", [False, True])
def test_momentum_follows_its_schedule(nesterov, compiled):
    rate, momentum = EVERY["OneCycle"], EVERY["OneCycleMomentum"]
    model = network()
    model.compile(optimizers.ScheduledSGD(rate, momentum, nesterov), "mse", jit_compile=compiled)
    model.fit(INPUTS, TARGETS, batch_size=2, shuffle=False, verbose=0)
    for found, expected in zip(model.get_weights(), by_hand(rate.values(8), momentum.values(8), nesterov), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert float(model.optimizer.current_momentum) == pytest.approx(momentum.values(9)[-1])


def test_a_number_is_the_optimizer_of_keras():
    weights = []
    for make in (optimizers.ScheduledSGD, keras.optimizers.SGD):
        model = network()
        model.compile(make(0.1, momentum=0.8, nesterov=True, clipnorm=0.5), "mse")
        model.fit(INPUTS, TARGETS, batch_size=2, shuffle=False, verbose=0)
        weights.append(model.get_weights())
    np.testing.assert_array_equal(weights[0][0], weights[1][0])


@pytest.mark.parametrize("momentum", [True, -0.1, 1.5, "high", None])
def test_momentum_is_checked(momentum):
    with pytest.raises(ValueError, match="needs a number from 0 to 1, or a schedule"):
        optimizers.ScheduledSGD(0.1, momentum)


def test_a_model_goes_on_after_loading(tmp_path):
    """Eight steps in one go, and four, a file, and four more."""
    weights = []
    for halves in (False, True):
        model = network()
        model.compile(optimizers.ScheduledSGD(EVERY["Scaled"], EVERY["OneCycleMomentum"]), "mse", jit_compile=True)
        for part in (slice(0, 8), slice(8, 16)):
            model.fit(INPUTS[part], TARGETS[part], batch_size=2, shuffle=False, verbose=0)
            if halves:
                model.save(tmp_path / "model.keras")
                model = keras.models.load_model(tmp_path / "model.keras")
        weights.append(model.get_weights())
    for one, other in zip(*weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-7)


def test_a_factor_changes_what_is_compiled_already():
    schedule = schedules.Scaled(schedules.StepDecay(0.1, 100))
    model = network()
    model.compile(keras.optimizers.SGD(schedule), "mse", jit_compile=True)
    model.fit(INPUTS, TARGETS, batch_size=8, verbose=0)
    before, step = model.get_weights()[0], model.train_function
    schedule.factor = 0.0
    model.fit(INPUTS, TARGETS, batch_size=8, verbose=0)
    np.testing.assert_array_equal(model.get_weights()[0], before)
    assert model.train_function is step
    assert model.optimizer.get_config()["learning_rate"]["config"]["factor"] == 0.0
