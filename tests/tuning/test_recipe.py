"""Schedules, batches and optimizers of a recipe."""

import keras
import numpy as np
import pytest

import keras_nnx as nnx
from keras_nnx.tuning import Choice, Recipe
from keras_nnx.tuning.recipe import OPTIMIZERS, SCHEDULES

X, Y = np.random.default_rng(0).normal(size=(48, 6)).astype("float32"), np.arange(48) % 3


def network():
    return keras.Sequential([keras.Input((6,)), keras.layers.Dense(3, "softmax")])


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_recipes(optimizer, schedule):
    recipe = Recipe(optimizer=optimizer, schedule=schedule, weight_decay=1e-3, learning_rate=0.01, batch_size=16)
    model = network()
    recipe.compile(model)
    before = model.get_weights()
    history = recipe.fit(model, X, Y, epochs=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    assert int(model.optimizer.iterations) == 6
    assert any(not np.array_equal(old, new) for old, new in zip(before, model.get_weights(), strict=True))
    assert (schedule == "constant") == (float(model.optimizer.learning_rate) == np.float32(0.01))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_no_weight_decay(optimizer):
    model = network()
    Recipe(optimizer=optimizer, weight_decay=None).compile(model)
    assert not model.optimizer.weight_decay


def test_batches_of_data_sets_are_those_of_the_recipe():
    import tensorflow as tf

    data = tf.data.Dataset.from_tensor_slices((X, Y)).batch(4)
    for schedule in ("constant", "cosine"):
        model, recipe = network(), Recipe(batch_size=16, schedule=schedule)
        recipe.compile(model)
        recipe.fit(model, data, epochs=2, shuffle=False, verbose=0)
        assert int(model.optimizer.iterations) == 6


@pytest.mark.parametrize("batch_size", [None, 16])
def test_data_sets_of_unknown_length_are_counted_once(batch_size):
    import tensorflow as tf

    read = []

    def rows():
        read.append(1)
        yield from zip(X, Y, strict=True)

    spec = (tf.TensorSpec((6,), tf.float32), tf.TensorSpec((), tf.int64))
    data = tf.data.Dataset.from_generator(rows, output_signature=spec).batch(16)
    for _ in range(2):
        model, recipe = network(), Recipe(batch_size=batch_size, schedule="cosine")
        recipe.compile(model)
        recipe.fit(model, data, epochs=2, shuffle=False, verbose=0)
        assert int(model.optimizer.iterations) == 6
        assert float(model.optimizer.learning_rate) == pytest.approx(0, abs=1e-9)
    assert len(read) == 5  # two epochs of two trainings, and the count


@pytest.mark.parametrize("batch_size", [None, 8])
def test_data_sets_without_end(batch_size):
    import tensorflow as tf

    data = tf.data.Dataset.from_tensor_slices((X, Y)).repeat().batch(16)
    model, recipe = network(), Recipe(batch_size=batch_size, schedule="cosine")
    recipe.compile(model)
    with pytest.raises(ValueError, match=r"have no end.*give steps_per_epoch="):
        recipe.fit(model, data, epochs=2, shuffle=False, verbose=0)
    recipe.fit(model, data, epochs=2, steps_per_epoch=3, shuffle=False, verbose=0)
    assert int(model.optimizer.iterations) == 6


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_trainings_of_few_steps(schedule):
    for steps in (1, 2, 3, 4, 5):
        model, recipe = network(), Recipe(schedule=schedule, batch_size=48)
        recipe.compile(model)
        history = recipe.fit(model, X, Y, epochs=steps, verbose=0)
        assert np.isfinite(history.history["loss"]).all()


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_training_that_goes_on_has_the_rest_of_the_schedule(schedule):
    class Rates(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.seen = []

        def on_train_batch_begin(self, batch, logs=None):
            self.seen.append(float(self.model.optimizer.learning_rate))

    seen = []
    for first in (0, 2):
        model, recipe, rates = network(), Recipe(schedule=schedule, learning_rate=0.1, batch_size=16), Rates()
        recipe.compile(model)
        recipe.fit(model, X, Y, epochs=4, initial_epoch=first, callbacks=[rates], verbose=0)
        seen.append(rates.seen)
    assert seen[1] == pytest.approx(seen[0][6:])


def test_errors():
    with pytest.raises(ValueError, match=r"Recipe\(optimizer='adan'\) is unknown: choose one of sgd"):
        Recipe(optimizer=Choice(["adam", "adan"]))
    with pytest.raises(ValueError, match="schedule='linear'"):
        Recipe(schedule="linear")
    with pytest.raises(ValueError, match=r"metrics='accuracy'\) needs a list, such as \['accuracy'\]"):
        Recipe(metrics="accuracy")
    with pytest.raises(ValueError, match=r"scope='training'.*give another scope="):
        nnx.tuning.space(network, scope="training")
