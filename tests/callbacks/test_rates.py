"""Rates that fall on top of a schedule, and schedules that start over."""

import copy
import json

import keras
import numpy as np
import pytest

from keras_nnx import optimizers, schedules
from keras_nnx.callbacks import ReduceOnPlateau, WarmRestarts
from tests.callbacks.conftest import INPUTS, TARGETS, Does, Says, Weights, compiled, fit, same

FALLING = schedules.PolynomialDecay(0.1, 100)


class Rates(keras.callbacks.Callback):
    """Sums up, with a loss whose gradient is 1, the rates of each epoch."""

    def __init__(self):
        super().__init__()
        self.sums, self.before = [], 0.0

    def on_epoch_end(self, epoch, logs=None):
        weight = self.model.get_weights()[0].item()
        self.sums.append(self.before - weight)
        self.before = weight


def slope(rate, **options):
    """A model whose weight falls by the rate at each step."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")])
    optimizer = rate if isinstance(rate, keras.optimizers.Optimizer) else keras.optimizers.SGD(rate)
    model.compile(optimizer, lambda y_true, y_pred: y_pred, **options)
    return model


def run(model, *callbacks, **arguments):
    ones = np.ones((4, 1), "float32")
    return fit(model, *callbacks, x=ones, y=ones, batch_size=1, **arguments)


def test_a_reduction_is_on_top_of_the_schedule(options):
    model, rates = slope(FALLING, **options), Rates()
    plateau = ReduceOnPlateau("score", factor=0.5, patience=2, mode="min")
    history = run(model, Says(score=[3, 2, 2, 2, 2, 2]), rates, plateau, epochs=6)
    plain = FALLING.values(24).reshape(6, 4).sum(axis=1)
    np.testing.assert_allclose(rates.sums, plain * [1, 1, 1, 1, 0.5, 0.5], rtol=1e-5)
    assert [(entry.epoch, entry.value, entry.best) for entry in plateau.reductions] == [(3, 2, 2), (5, 2, 2)]
    assert history.history["learning_rate"][0] == pytest.approx(FALLING.values(5)[4])


def test_nothing_is_compiled_again_for_a_reduction():
    model = slope(FALLING, jit_compile=True)
    seen = []
    watch = Does("on_epoch_end", lambda model, *_: seen.append(model.train_function))
    run(model, Says(score=[1] * 5), watch, ReduceOnPlateau("score", 0.5, patience=1, mode="min"))
    assert len(set(map(id, seen))) == 1
    assert model.optimizer.learning_rate.numpy() < 0.1 * 0.5**3


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: keras.optimizers.SGD(0.1),
        lambda: keras.optimizers.SGD(FALLING),
        lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(FALLING), initial_scale=2.0),
        lambda: optimizers.LayerwiseDecay(keras.optimizers.SGD(FALLING), {}, default=1.0),
    ],
    ids=["number", "schedule", "scaled loss", "layerwise"],
)
def test_a_saved_model_keeps_the_reduced_rate(optimizer, tmp_path):
    model = compiled(optimizer())
    fit(model, Says(score=[1, 1, 1]), ReduceOnPlateau("score", 0.5, patience=1, mode="min", cooldown=1), epochs=3)
    rate = float(model.optimizer.learning_rate)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert float(loaded.optimizer.learning_rate) == pytest.approx(rate)
    for one in (model, loaded):
        fit(one, Says(score=[1, 1]), ReduceOnPlateau("score", 0.5, patience=1, mode="min"), epochs=2)
    assert float(loaded.optimizer.learning_rate) == pytest.approx(float(model.optimizer.learning_rate))
    same(loaded.get_weights(), model.get_weights(), atol=1e-6)


def test_a_lowest_rate_and_a_rest():
    model = slope(0.1)
    plateau = ReduceOnPlateau("score", 0.1, patience=1, mode="max", cooldown=1, min_rate=0.005)
    run(model, Says(score=[1] * 8), plateau, epochs=8)
    assert [entry.epoch for entry in plateau.reductions] == [1, 3]
    assert float(model.optimizer.learning_rate) == pytest.approx(0.005)


def test_a_schedule_starts_over(options):
    model, rates = slope(FALLING, **options), Rates()
    restarts = WarmRestarts([2, 3], peak_factor=0.5)
    run(model, rates, restarts)
    values = FALLING.values(8)
    first, second = values[:4].sum(), values[4:].sum()
    np.testing.assert_allclose(rates.sums, [first, second, first / 2, first / 4, second / 4], rtol=1e-5)
    assert restarts.restarts == [2, 3]


def test_it_starts_over_on_a_plateau_and_takes_back_reductions():
    model, rates = slope(0.1), Rates()
    plateau = ReduceOnPlateau("score", 0.5, patience=1, mode="min")
    restarts = WarmRestarts(monitor="score", patience=2, mode="min")
    run(model, Says(score=[1, 1, 1, 1, 1]), rates, plateau, restarts)
    assert restarts.restarts == [3]
    np.testing.assert_allclose(np.asarray(rates.sums) / 0.4, [1, 1, 0.5, 1, 0.5], rtol=1e-5)


def test_the_optimizer_may_start_over_too():
    def slots(model):
        return [keras.ops.convert_to_numpy(value).copy() for value in model.optimizer.variables[2:]]

    found = []
    for reset in (False, True):
        model = compiled(keras.optimizers.Nadam(0.1))
        restarts = WarmRestarts([1], reset_optimizer=reset)
        fit(model, restarts, Does("on_epoch_begin", lambda model, *_: found.append(slots(model))), epochs=2)
    new = keras.optimizers.Nadam(0.1)
    new.build(model.trainable_variables)
    same(found[3], [keras.ops.convert_to_numpy(value) for value in new.variables[2:]])
    assert np.abs(found[1][-1]).max() > 0
    assert int(model.optimizer.iterations) == 8


@pytest.mark.parametrize(
    "make",
    [
        lambda: ReduceOnPlateau("score", 0.5, patience=2, mode="min"),
        lambda: WarmRestarts(monitor="score", patience=3, mode="min", peak_factor=0.5),
    ],
    ids=["reduce", "restart"],
)
def test_a_state_goes_on_where_it_was(make):
    """Six epochs in one go, and three, a state, and three more."""
    scores, weights = [3, 2, 2, 2, 2, 2], []
    for halves in (False, True):
        model, callback = slope(FALLING), copy.deepcopy(make())
        run(model, Says(score=scores), callback, epochs=3 if halves else 6)
        if halves:
            state = json.loads(json.dumps(callback.get_state()))
            callback = make()
            callback.set_state(state)
            run(model, Says(score=scores), callback, epochs=6, initial_epoch=3)
        weights.append(model.get_weights())
        assert callback.get_state()["wait"] in (0, 1, 2)
    same(*weights, atol=1e-7)
    copy.deepcopy(callback)


def test_callbacks_share_what_they_put_around_a_schedule():
    model = compiled(keras.optimizers.SGD(FALLING))
    fit(model, WarmRestarts([1]), ReduceOnPlateau("loss"), Weights())
    assert isinstance(model.optimizer._learning_rate, schedules.Scaled)
    assert model.optimizer._learning_rate.schedule is FALLING


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ReduceOnPlateau(factor=0.0), "use a factor over 0"),
        (lambda: ReduceOnPlateau(factor=1.0), "under 1"),
        (lambda: ReduceOnPlateau(monitor=""), "needs a name"),
        (lambda: ReduceOnPlateau(mode="best"), "choose one of"),
        (lambda: WarmRestarts(), "would never restart"),
        (lambda: WarmRestarts([0]), "at least 1"),
        (lambda: WarmRestarts([1], peak_factor=2), "at most 1"),
    ],
)
def test_errors_say_what_to_do(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_names_and_functions_are_refused():
    with pytest.raises(ValueError, match="There are: loss"):
        fit(compiled(), ReduceOnPlateau("los"))
    with pytest.raises(ValueError, match="There are: loss"):
        fit(compiled(), WarmRestarts(monitor="los"))
    model = compiled(keras.optimizers.SGD(lambda: 0.1))
    with pytest.raises(ValueError, match="make it a LearningRateSchedule, or a number"):
        fit(model, ReduceOnPlateau("loss"))
    assert INPUTS.shape == TARGETS.shape
