"""Layers that join a training."""

import copy
import itertools

import keras
import numpy as np
import pytest

from keras_nnx.callbacks import GradualUnfreeze, WeightAveraging
from tests.callbacks.conftest import INPUTS, TARGETS, Does, Weights, compiled, fit, network, same


def moved(weights, start):
    """Which arrays changed, by epoch."""
    return [
        [bool(np.abs(one - two).max() > 0) for one, two in zip(before, after, strict=True)]
        for before, after in itertools.pairwise([start, *weights])
    ]


def test_layers_join_when_they_should(options):
    model, weights = compiled(keras.optimizers.AdamW(0.1), depth=2, **options), Weights()
    start = model.get_weights()
    unfreeze = copy.deepcopy(GradualUnfreeze({0: "head", 1: ["hidden_1"], 3: "hidden*"}))
    fit(model, weights, unfreeze, validation_data=(INPUTS, TARGETS))
    expected = [
        [first, first, second, second, True, True]
        for first, second in [(False, False), (False, True), (False, True), (True, True), (True, True)]
    ]
    assert moved(weights.found, start) == expected
    assert unfreeze.trainable == {0: ["head"], 1: ["hidden_1"], 3: ["hidden_0"]}


def test_the_optimizer_keeps_its_state_and_is_that_of_all_layers():
    """With every layer in from the start, training is what it is without the callback."""
    found = []
    for callbacks in ([], [GradualUnfreeze({0: "*"})]):
        keras.utils.set_random_seed(0)
        model = compiled(keras.optimizers.Adam(0.01), depth=2)
        fit(model, *callbacks, epochs=2)
        found.append(model.get_weights())
        assert len(model.optimizer.variables) == 2 + 2 * 6
    same(*found, atol=1e-7)


def test_layers_inside_models_and_frozen_ones():
    inside = network(depth=2, normalised=True)
    inside.name = "backbone"
    model = keras.Sequential(
        [keras.Input((3,)), inside, keras.layers.Dense(3, name="last"), keras.layers.Dense(3, name="end")]
    )
    model.get_layer("last").trainable = False
    inside.trainable = False
    model.compile(keras.optimizers.SGD(0.1), "mse")
    weights, start = Weights(), model.get_weights()
    fit(model, weights, GradualUnfreeze({0: "end", 1: "backbone/head", 2: "backbone"}), epochs=3)
    rows = moved(weights.found, start)
    names = [variable.path.split("/")[-2] for variable in model.weights]
    for epoch, joined in enumerate([{"end"}, {"end", "head"}, {"end", "head", "hidden_0", "hidden_1", "normalised"}]):
        assert {name for name, change in zip(names, rows[epoch], strict=True) if change} == joined


def test_averages_and_scaled_losses_go_along(options):
    inner = keras.optimizers.SGD(0.05, momentum=0.9)
    model = compiled(keras.optimizers.LossScaleOptimizer(inner), depth=2, **options)
    start = model.get_weights()
    fit(model, GradualUnfreeze({0: "head", 2: "hidden_1", 9: "hidden_0"}), WeightAveraging(decay=0.5))
    assert moved([model.get_weights()], start) == [[False, False, True, True, True, True]]


def test_a_training_goes_on_at_a_later_epoch():
    model, weights = compiled(depth=2), Weights()
    start, unfreeze = model.get_weights(), GradualUnfreeze({0: "head", 2: "hidden_1", 4: "hidden_0"})
    unfreeze.set_state(unfreeze.get_state())
    fit(model, weights, unfreeze, initial_epoch=3, epochs=4)
    assert moved(weights.found, start) == [[False, False, True, True, True, True]]
    with pytest.raises(KeyboardInterrupt):
        fit(model, unfreeze, Does("on_train_batch_begin", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)))


def test_errors_say_what_to_do():
    for layers, message in (({}, "needs a dictionary"), ({-1: "head"}, "at least 0"), ("head", "needs a dictionary")):
        with pytest.raises(ValueError, match=message):
            GradualUnfreeze(layers)
    with pytest.raises(ValueError, match=r"'haed' fits no layer with weights. There are: head"):
        fit(compiled(), GradualUnfreeze({0: "haed"}))
    model = network(depth=2)
    model.get_layer("hidden_0").trainable = False
    model.compile("sgd", "mse")
    model.optimizer.build(model.trainable_variables)
    with pytest.raises(ValueError, match="compile the model again, with all layers trainable"):
        fit(model, GradualUnfreeze({0: "*"}))
