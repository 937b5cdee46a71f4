"""Builders with ranges, in keras-tuner's own tuners."""

import keras
import keras_tuner
import numpy as np
import pytest

import keras_nnx as nnx
from keras_nnx.tuning import Choice, Float, InfeasibleError, Int, Repeat, knobs, space

X, Y = np.random.default_rng(0).normal(size=(48, 6)).astype("float32"), np.arange(48) % 3


def network(units=(4,), block=None, dropout=0.0):
    x = inputs = keras.Input((6,))
    for size in units:
        x = keras.layers.Dense(size, "relu")(x)
    x = x if block is None else block(x)
    return keras.Model(inputs, keras.layers.Dense(3, "softmax")(keras.layers.Dropout(dropout)(x)))


SPACE = space(
    network,
    units=Repeat(Int(4, 8, step=4), Int(1, 2)),
    block=Choice({"none": None, "mlp": space(nnx.blocks.MLPBlock, hidden_dim=Int(2, 6))}),
    dropout=Float(0.0, 0.5, step=0.25),
    recipe=knobs(),
)


def test_names_are_scoped_and_all_known_without_a_model():
    hp = keras_tuner.HyperParameters()
    SPACE.declare_hyperparameters(hp)
    assert [entry.name for entry in hp.space] == [
        *(
            f"network/{name}"
            for name in ("units/times", "units/1", "units/2", "block", "block=mlp/hidden_dim", "dropout")
        ),
        *(f"training/{name}" for name in ("optimizer", "learning_rate", "weight_decay", "schedule", "batch_size")),
    ]


@pytest.mark.parametrize("kind", [keras_tuner.RandomSearch, keras_tuner.BayesianOptimization, keras_tuner.GridSearch])
def test_tuners_of_keras_tuner(kind, tmp_path):
    tuner = kind(SPACE, "val_loss", max_trials=4, seed=1, directory=tmp_path)
    tuner.search(X, Y, validation_data=(X, Y), epochs=2, verbose=0)
    trials = tuner.oracle.trials.values()
    assert [trial.status for trial in trials] == ["COMPLETED"] * 4
    assert len({str(trial.hyperparameters.values) for trial in trials}) == 4
    assert np.isfinite(tuner.oracle.get_best_trials(1)[0].score)


def test_what_does_not_go_together_is_infeasible():
    vit = space(nnx.models.ViT, input_shape=(8, 8, 1), classes=3, patch_size=4, dim=10, depth=1, num_heads=Int(3, 4))
    with pytest.raises(InfeasibleError, match=r"ViT\(.*num_heads=3.*\) cannot be built"):
        vit.build(keras_tuner.HyperParameters())


def test_errors():
    with pytest.raises(TypeError, match=r"space\(network\): got an unexpected keyword argument 'unit'. It takes units"):
        space(network, unit=Int(1, 2))
    with pytest.raises(TypeError, match=r"space\(Dense\): got an unexpected keyword argument 'unit'"):
        nnx.tuning.space(keras.layers.Dense, unit=3, units=4)
    nnx.tuning.space(keras.layers.Dense, units=4, name="head", dtype="float32", trainable=False, input_shape=(3,))
    nnx.tuning.space(keras.layers.Conv2D, filters=4, kernel_size=3, use_bias=False)
    with pytest.raises(TypeError, match="needs a function or a class"):
        space("network")
    with pytest.raises(TypeError, match=r"builds no keras.Model"):
        space(keras.layers.Dense, units=3).build(keras_tuner.HyperParameters())
