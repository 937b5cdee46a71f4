"""Means of weights, in the model when they should be."""

import copy

import keras
import numpy as np
import pytest
from keras import ops

from keras_nnx.callbacks import EarlyStopping, WeightAveraging
from tests.callbacks.conftest import INPUTS, TARGETS, Does, Says, Weights, compiled, different, fit, same


class Steps(keras.callbacks.Callback):
    """Keeps the weights behind each execution, with the steps made so far."""

    def __init__(self):
        super().__init__()
        self.found = []

    def on_train_batch_end(self, batch, logs=None):
        self.found.append((int(self.model.optimizer.iterations), self.model.get_weights()))


def ema(found, decay, warmup):
    """The average by its definition, step by step: what an execution leaves counts for each of its steps."""
    average, before = found[0][1], found[0][0]
    for steps, weights in found[1:]:
        for step in range(before, steps):
            rate = min(decay, (1 + step) / (10 + step)) if warmup else decay
            average = [rate * old + (1 - rate) * new for old, new in zip(average, weights, strict=True)]
        before = steps
    return average


@pytest.mark.parametrize("warmup", [False, True])
def test_the_exponential_average_is_its_definition(warmup, options):
    model, steps = compiled(normalised=True, **options), Steps()
    averaging = WeightAveraging(decay=0.9, warmup=warmup, validate=False)
    fit(model, steps, averaging, epochs=3)
    same(model.get_weights(), ema(steps.found, 0.9, warmup), rtol=1e-4, atol=1e-5)
    different(model.get_weights(), steps.found[-1][1])
    assert averaging.count == 12


@pytest.mark.parametrize("validate", [False, True])
def test_the_plain_mean_is_over_the_ends_of_epochs(validate):
    model, steps = compiled(), Steps()
    fit(model, steps, WeightAveraging("swa", start_epoch=2, validate=validate), validation_data=(INPUTS, TARGETS))
    ends = [weights for count, weights in steps.found if count in (12, 16, 20)]
    same(model.get_weights(), [np.mean(values, axis=0) for values in zip(*ends, strict=True)], atol=1e-6)


def test_validation_sees_the_average_and_training_does_not():
    """Training is the same with it and without; what is validated is what is there at the end of the epoch."""
    plain, watched, averaged = Steps(), Steps(), Weights()
    fit(compiled(), plain, validation_data=(INPUTS, TARGETS))
    model = compiled()
    keras.utils.set_random_seed(0)
    model.set_weights(plain_start())
    history = fit(model, watched, WeightAveraging(decay=0.8), averaged, validation_data=(INPUTS, TARGETS)).history
    other = compiled()
    other.set_weights(plain_start())
    again = Steps()
    fit(other, again)
    for (_, one), (_, two) in zip(watched.found, again.found, strict=True):
        same(one, two, atol=1e-6)
    same(model.get_weights(), averaged.found[-1])
    assert history["val_loss"][-1] == pytest.approx(model.evaluate(INPUTS, TARGETS, batch_size=4, verbose=0), rel=1e-5)


def plain_start():
    random = np.random.default_rng(5)
    return [random.standard_normal(weight.shape) for weight in compiled().get_weights()]


def test_statistics_are_those_of_the_averaged_weights(options):
    model = compiled(normalised=True, **options)
    fit(model, WeightAveraging("swa", data=INPUTS, validate=False))
    hidden = keras.Model(model.inputs[0], model.get_layer("hidden_0").output)(INPUTS)
    parts = [ops.convert_to_numpy(hidden)]
    layer = model.get_layer("normalised")
    np.testing.assert_allclose(layer.moving_mean, np.mean([part.mean(axis=0) for part in parts], axis=0), atol=1e-5)
    np.testing.assert_allclose(layer.moving_variance, np.mean([part.var(axis=0) for part in parts], axis=0), atol=1e-5)
    assert layer.momentum == 0.99


@pytest.mark.parametrize("kind", ["list", "pairs", "sequence"])
def test_batches_of_any_kind_count_the_same(kind):
    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 4

        def __getitem__(self, index):
            return INPUTS[4 * index : 4 * index + 4], TARGETS[:4]

    parts = [INPUTS[start : start + 4] for start in range(0, 16, 4)]
    data = {"list": parts, "pairs": [(part, None) for part in parts], "sequence": Batches()}[kind]
    model = compiled(normalised=True, dropout=0.5)
    seeds = [ops.convert_to_numpy(v).copy() for v in model.non_trainable_variables if "seed" in v.path]
    averaging = WeightAveraging("swa", data=data, batches=3, validate=False)
    fit(model, averaging, epochs=1, steps_per_epoch=1)
    hidden = ops.convert_to_numpy(keras.Model(model.inputs[0], model.get_layer("hidden_0").output)(INPUTS))
    expected = np.mean([hidden[start : start + 4].mean(axis=0) for start in (0, 4, 8)], axis=0)
    np.testing.assert_allclose(model.get_layer("normalised").moving_mean, expected, atol=1e-5)
    assert seeds


@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16", "bfloat16", "float64"])
def test_every_dtype(dtype):
    inputs = keras.Input((3,), dtype="float64" if dtype == "float64" else "float32")
    layers = [keras.layers.Dense(4, dtype=dtype), keras.layers.BatchNormalization(dtype=dtype)]
    outputs = keras.Sequential(layers)(inputs)
    model = keras.Model(inputs, keras.layers.Dense(3, dtype=dtype)(outputs))
    model.compile("sgd", "mse")
    before = [weight.dtype for weight in model.weights]
    averaging = WeightAveraging(decay=0.5, data=INPUTS)
    fit(model, averaging, epochs=1)
    assert [weight.dtype for weight in model.weights] == before
    assert all(np.isfinite(ops.convert_to_numpy(ops.cast(weight, "float32"))).all() for weight in model.weights)


@pytest.mark.parametrize("moment", ["on_train_batch_begin", "on_test_batch_end", "on_epoch_end"])
def test_the_average_is_left_on_every_way_out(moment):
    def stop(model, *_):
        if int(model.optimizer.iterations) >= 8:
            raise KeyboardInterrupt

    model, steps = compiled(), Steps()
    with pytest.raises(KeyboardInterrupt):
        fit(
            model,
            steps,
            WeightAveraging(decay=0.8, warmup=False),
            Does(moment, stop),
            validation_data=(INPUTS, TARGETS),
        )
    same(model.get_weights(), ema(steps.found, 0.8, False), atol=1e-5)


@pytest.mark.parametrize("behind", [False, True])
def test_early_stopping_restores_an_average(behind):
    model, weights = compiled(), Weights()
    both = [WeightAveraging(decay=0.8), EarlyStopping("score", mode="min")]
    both = both if behind else both[::-1]
    fit(model, Says(score=[3, 1, 2]), weights, *both, epochs=3, validation_data=(INPUTS, TARGETS))
    same(model.get_weights(), weights.found[1])


@pytest.mark.parametrize("kind", ["ema", "swa"])
def test_a_state_goes_on_where_it_was(kind):
    """Five epochs in one go, and three, a state, and two more from the weights that were in the model."""
    found = []
    for halves in (False, True):
        model = compiled()
        model.set_weights(plain_start())
        averaging = copy.deepcopy(WeightAveraging(kind, decay=0.8))
        if halves:
            states = []
            save = Does("on_epoch_end", lambda model, *_, a=averaging, s=states: s.append(a.get_state()))
            fit(model, averaging, save, epochs=3, validation_data=(INPUTS, TARGETS))
            averaging = WeightAveraging(kind, decay=0.8)
            averaging.set_state(states[-1])
            fit(model, averaging, epochs=5, initial_epoch=3, validation_data=(INPUTS, TARGETS))
        else:
            fit(model, averaging, validation_data=(INPUTS, TARGETS))
        found.append(model.get_weights())
        assert copy.deepcopy(averaging).count == averaging.count
    same(*found, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "mean"}, "choose one of 'ema', 'swa'"),
        ({"decay": 0.0}, "use a decay over 0"),
        ({"decay": 1.0}, "under 1"),
        ({"start_epoch": -1}, "at least 0"),
        ({"batches": 0}, "at least 1"),
        ({"data": iter([INPUTS])}, "cannot be gone through more than once"),
        ({"data": 3}, "use an array, a list of batches"),
    ],
)
def test_errors_say_what_to_do(arguments, message):
    with pytest.raises(ValueError, match=message):
        WeightAveraging(**arguments)
