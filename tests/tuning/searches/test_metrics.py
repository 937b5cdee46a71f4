"""Losses and metrics are called as the history of a training calls them."""

import dataclasses

import keras
import numpy as np
import pytest

import keras_nnx as nnx
from keras_nnx.tuning import Recipe
from keras_nnx.tuning.searches.data import arrays
from keras_nnx.tuning.searches.metrics import metric_names

X = np.random.default_rng(0).normal(size=(24, 6)).astype("float32")
Y, Z = np.arange(24) % 3, X[:, :1]
CROSS_ENTROPY = "sparse_categorical_crossentropy"


def one(units):
    rows = keras.Input((6,))
    return keras.Model(rows, keras.layers.Dense(3, "softmax", name="p")(keras.layers.Dense(units)(rows)))


def two(units, named=False):
    rows = keras.Input((6,))
    x = keras.layers.Dense(units)(rows)
    p, q = keras.layers.Dense(3, "softmax", name="p")(x), keras.layers.Dense(1, name="q")(x)
    return keras.Model(rows, {"p": p, "q": q} if named else [p, q])


def nothing(y_true, y_pred):
    return keras.ops.mean(y_pred)


def broken(units):
    raise RuntimeError("a defect of the builder")


NAMED = {"p": CROSS_ENTROPY, "q": "mse"}
CASES = {
    "one": (one, {}, Recipe(metrics=["accuracy", nothing, keras.metrics.SparseTopKCategoricalAccuracy(2, name="top")])),
    "one, none": (one, {}, Recipe(metrics=())),
    "one, by name": (one, {}, Recipe(metrics={"p": ["accuracy"]})),
    "two": (two, {}, Recipe([CROSS_ENTROPY, "mse"], metrics=["accuracy", "mae"])),
    "two, nested": (two, {}, Recipe([CROSS_ENTROPY, "mse"], metrics=[["accuracy"], ["mae", nothing]])),
    "two, none": (two, {}, Recipe([CROSS_ENTROPY, "mse"], metrics=())),
    "two, by name": (two, {"named": True}, Recipe(NAMED, metrics={"p": ["accuracy"], "q": "mae"})),
    "two, one of them": (two, {"named": True}, Recipe(NAMED, metrics={"p": ["accuracy"], "q": None})),
}


@pytest.mark.parametrize(
    ("case", "as_data_set"), [*((case, False) for case in CASES), ("one", True), ("two, by name", True)]
)
def test_names(case, as_data_set):
    builder, arguments, recipe = CASES[case]
    space = nnx.tuning.space(builder, units=nnx.tuning.Int(2, 4), recipe=recipe, **arguments)
    y = Y if builder is one else {"p": Y, "q": Z} if arguments else (Y, Z)
    data = arrays((X, Y))
    data = dataclasses.replace(data, train=(X, y), validation=(X, y))
    if as_data_set:
        import tensorflow as tf

        batches = tf.data.Dataset.from_tensor_slices((X, y)).batch(8)
        data = dataclasses.replace(data, train=batches, validation=batches)
    found = metric_names(space, data)
    model = two(2, **arguments) if builder is two else one(2)
    recipe.compile(model)
    history = model.fit(X, y, validation_data=(X, y), verbose=0).history
    assert {*found, *(f"val_{name}" for name in found)} == set(history)


def test_a_builder_that_is_broken_is_found_by_its_trials():
    space = nnx.tuning.space(broken, units=nnx.tuning.Int(2, 4), recipe=Recipe(metrics={"p": "accuracy"}))
    assert metric_names(space, arrays((X, Y))) is None


def test_a_search_by_a_metric_of_one_of_two_outputs(tmp_path):
    recipe = Recipe(NAMED, metrics={"p": ["accuracy"], "q": ["mae"]})
    space = nnx.tuning.space(two, units=nnx.tuning.Int(2, 4), named=True, recipe=recipe)
    targets = {"p": Y, "q": Z}
    arguments = {"trials": 1, "epochs": 1, "verbose": 0}
    found = nnx.tuning.search(
        space, (X, targets), tmp_path / "out", objectives=["val_p_accuracy", "val_q_mae", "val_p_loss"], **arguments
    )
    assert set(found.best.measures) >= {"val_p_accuracy", "val_q_mae", "val_p_loss"}
    with pytest.raises(ValueError, match=r"There are val_loss, val_p_accuracy, .*val_q_mae"):
        nnx.tuning.search(space, (X, targets), tmp_path / "other", objectives="val_accuracy", **arguments)
    with pytest.raises(ValueError, match="accuracy is a share of right classes"):
        nnx.tuning.search(space, (X, targets), tmp_path / "third", objectives="accuracy", **arguments)
