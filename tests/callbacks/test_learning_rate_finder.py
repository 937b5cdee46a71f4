"""A sweep that leaves no trace."""

import copy

import keras
import numpy as np
import pytest

from keras_nnx import schedules
from keras_nnx.callbacks import LearningRateFinder
from tests.callbacks.conftest import INPUTS, TARGETS, Does, compiled, fit, same

SCHEDULE = schedules.PolynomialDecay(0.05, 100)
OPTIMIZERS = {
    "momentum": lambda: keras.optimizers.SGD(0.05, momentum=0.9),
    "scheduled": lambda: keras.optimizers.Adam(SCHEDULE),
    "averaging": lambda: keras.optimizers.AdamW(0.01, use_ema=True),
    "scaled loss": lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.05)),
}


def everything(model):
    return [keras.ops.convert_to_numpy(variable).copy() for variable in (*model.variables, *model.optimizer.variables)]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_training_goes_on_as_if_nothing_had_been(optimizer):
    sweep_in_between(optimizer, jit_compile=False)


def test_a_training_goes_on_however_steps_are_compiled(options):
    sweep_in_between("scheduled", **options)


def sweep_in_between(optimizer, **options):
    def model():
        keras.utils.set_random_seed(0)
        return compiled(OPTIMIZERS[optimizer](), dropout=0.5, normalised=True, **options)

    plain, swept = model(), model()
    for one in (plain, swept):
        fit(one, epochs=1)
    before, rate = everything(swept), swept.optimizer.get_config()
    finder = LearningRateFinder(1e-6, 1e5, steps=40).find(swept, INPUTS, TARGETS, batch_size=4)
    same(everything(swept), before)
    assert swept.optimizer.get_config() == rate
    assert finder.reason in ("diverged", "completed")
    for one in (plain, swept):
        fit(one, epochs=2, initial_epoch=1)
    same(everything(swept), everything(plain))


def test_every_step_has_its_own_rate(options):
    """With a loss whose gradient is 1, the loss falls by the rate."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    model.compile(keras.optimizers.SGD(9.0), lambda y_true, y_pred: y_pred, **options)
    finder = LearningRateFinder(1e-3, 1.0, steps=13)
    ones = np.ones((8, 1), "float32")
    finder.find(model, ones, ones, batch_size=1, shuffle=False)
    assert finder.reason == "completed"
    size = options["steps_per_execution"]
    rates = np.geomspace(1e-3, 1.0, 13)
    expected = [rates[0], rates[12]] if size == 1 else [np.sqrt(rates[0] * rates[1])]
    assert finder.learning_rates[0] == pytest.approx(expected[0])
    if size == 1:
        np.testing.assert_allclose(finder.learning_rates, rates)
        np.testing.assert_allclose(-np.diff(finder.losses), rates[:-1], rtol=1e-3)


@pytest.mark.parametrize("moment", ["on_train_batch_begin", "on_epoch_end"])
def test_interruptions_leave_no_trace_either(moment):
    def interrupt(*_):
        raise KeyboardInterrupt

    model = compiled(normalised=True)
    model.optimizer.build(model.trainable_variables)
    before, finder = everything(model), LearningRateFinder(1e-3, 1.0, steps=50)
    begin = Does("on_train_begin", lambda *_: None)
    late = Does(moment, lambda model, batch, *_: interrupt() if moment == "on_epoch_end" or batch == 2 else None)
    with pytest.raises(KeyboardInterrupt):
        fit(model, begin, late, finder)
    same(everything(model), before)
    assert finder.reason == "interrupted"
    assert isinstance(model.optimizer._learning_rate, keras.Variable)


def test_the_suggestion_is_where_the_loss_falls_fastest():
    finder = LearningRateFinder(smoothing=0.0)
    finder.learning_rates = list(np.geomspace(1e-5, 1.0, 51))
    places = np.linspace(-5, 0, 51)
    finder.losses = list(2 - 1 / (1 + np.exp(-4 * (places + 2.5))) + 40 * np.maximum(0, places + 0.5))
    assert finder.suggestion == pytest.approx(10**-2.5, rel=0.3)
    finder.losses = list(np.linspace(1, 2, 51))
    with pytest.raises(ValueError, match="never fell"):
        finder.suggestion  # noqa: B018
    finder.losses = [1.0, np.nan]
    with pytest.raises(ValueError, match="too few"):
        finder.suggestion  # noqa: B018


@pytest.mark.parametrize("seed", range(20))
def test_the_noise_of_batches_is_no_fall(seed):
    """Where the loss is flat, a moving average falls by the difference of its first two batches."""
    finder = LearningRateFinder()
    finder.learning_rates = list(np.geomspace(1e-5, 10.0, 150))
    places = np.linspace(-5, 1, 150)
    noise = np.random.default_rng(seed).normal(scale=0.15, size=150)
    finder.losses = list(2.5 - 1.5 / (1 + np.exp(-4 * (places + 1.5))) + 20 * np.maximum(0, places) + noise)
    assert 1e-3 < finder.suggestion < 0.3


def test_too_few_steps_are_told_and_a_picture_is_drawn(tmp_path):
    model, finder = compiled(), LearningRateFinder(1e-3, 1.0, steps=100)
    fit(model, finder, epochs=2)
    assert finder.reason == "no_more_data"
    assert len(finder.losses) == 8
    assert finder.plot(tmp_path / "sweep.png").stat().st_size > 1000


def test_copies_and_states():
    finder = copy.deepcopy(LearningRateFinder(1e-3, 1.0, steps=8))
    finder.find(compiled(), INPUTS, TARGETS, batch_size=4)
    other = LearningRateFinder()
    other.set_state(copy.deepcopy(finder).get_state())
    assert (other.losses, other.reason) == (finder.losses, finder.reason)


def test_errors_say_what_to_do():
    for arguments, message in (
        ({"lowest": 1.0, "highest": 0.5}, "raise highest"),
        ({"steps": 0}, "at least 1"),
        ({"smoothing": 1.0}, "under 1"),
        ({"divergence": 1.0}, "over 1"),
    ):
        with pytest.raises(ValueError, match=message):
            LearningRateFinder(**arguments)
    model = keras.Sequential([keras.layers.Dense(3)])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="not built: call it once before"):
        fit(model, LearningRateFinder())
