"""Multipliers by depth, in any kind of model, also after it was saved and loaded."""

import keras
import numpy as np
import pytest

from keras_nnx.layers import ClassToken, MultiHeadAttention
from keras_nnx.optimizers import LayerwiseDecay

INPUTS = np.random.default_rng(0).standard_normal((8, 4)).astype("float32")
TARGETS = np.random.default_rng(1).standard_normal((8, 4)).astype("float32")


def dense(name):
    return keras.layers.Dense(4, activation="tanh", name=name)


def functional(*layers, name=None):
    inputs = keras.Input((4,))
    outputs = inputs
    for layer in layers:
        outputs = layer(outputs)
    return keras.Model(inputs, outputs, name=name)


@keras.saving.register_keras_serializable(package="keras_nnx_tests")
class Subclassed(keras.Model):
    """A model of its own weight, a layer without a name of its own, and a model."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.first = keras.layers.Dense(4)
        self.inner = keras.Sequential([dense("second"), dense("third")], name="inner")

    def build(self, input_shape):
        self.scale = self.add_weight(shape=(4,), initializer="ones", name="scale")
        self.first.build(input_shape)
        self.inner.build(input_shape)

    def call(self, inputs):
        return self.inner(self.first(inputs) * self.scale)


def subclassed():
    model = Subclassed(name="own")
    model(INPUTS)
    return model


MODELS = {
    "functional": lambda: functional(dense("first"), dense("second"), dense("head")),
    "sequential": lambda: keras.Sequential([keras.Input((4,)), dense("first"), dense("head")], name="outer"),
    "nested": lambda: functional(functional(dense("a"), dense("b"), name="back"), dense("head")),
    "nested sequential": lambda: functional(keras.Sequential([dense("a"), dense("b")], name="back"), dense("head")),
    "subclassed": subclassed,
    "nested subclassed": lambda: functional(Subclassed(name="own"), dense("head")),
    "names by Keras": lambda: functional(keras.layers.Dense(4), keras.layers.Dense(4)),
}


def adam(rate=0.1):
    return keras.optimizers.AdamW(rate, weight_decay=0.1)


def fit(model, epochs=2):
    model.fit(INPUTS, TARGETS, batch_size=4, epochs=epochs, shuffle=False, verbose=0)


def scales(optimizer):
    """The multiplier of every variable that the optimizer trains, in order."""
    return list(optimizer._factors)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("functional", {"first": 0.25, "second": 0.5, "head": 1.0}),
        ("sequential", {"outer/first": 0.5, "outer/head": 1.0}),
        ("nested", {"a": 0.25, "b": 0.5, "head": 1.0}),
        ("nested sequential", {"back/a": 0.25, "back/b": 0.5, "head": 1.0}),
    ],
)
def test_each_layer_has_its_multiplier(kind, expected):
    assert LayerwiseDecay.from_model(adam(), MODELS[kind](), decay=0.5).multipliers == expected


def test_loose_weights_move_as_the_first_layer():
    model = subclassed()
    optimizer = LayerwiseDecay.from_model(adam(), model, decay=0.5)
    optimizer.build(model.trainable_variables)
    assert dict(zip((v.path for v in model.trainable_variables), scales(optimizer), strict=True)) == {
        "own/scale": 0.25,
        **{f"{model.first.path}/{name}": 0.25 for name in ("kernel", "bias")},
        **{f"own/inner/second/{name}": 0.5 for name in ("kernel", "bias")},
        **{f"own/inner/third/{name}": 1.0 for name in ("kernel", "bias")},
    }


def test_a_layer_of_layers_counts_as_one():
    inputs = keras.Input((3, 4))
    hidden = MultiHeadAttention(2, query_key_norm=True, name="attention")(ClassToken(name="token")(inputs))
    model = keras.Model(inputs, keras.layers.Dense(2, name="head")(hidden))
    optimizer = LayerwiseDecay.from_model(adam(), model)
    assert optimizer.multipliers == {"token": 0.75**2, "attention": 0.75, "head": 1.0}
    optimizer.build(model.trainable_variables)
    assert scales(optimizer) == [0.75**2] + [0.75] * 10 + [1.0] * 2


def test_a_model_inside_a_layer_is_found_by_the_paths_of_its_weights():
    inner = functional(dense("a"), name="back")
    inputs = keras.Input((3, 4))
    model = keras.Model(inputs, dense("head")(keras.layers.TimeDistributed(inner, name="each")(inputs)))
    optimizer = LayerwiseDecay.from_model(adam(), model, decay=0.5)
    optimizer.build(model.trainable_variables)
    assert scales(optimizer) == [0.5, 0.5, 1.0, 1.0]


def test_frozen_layers_and_layers_without_weights_do_not_count():
    model = functional(dense("a"), keras.layers.ReLU(), dense("b"), keras.layers.Dropout(0.1), dense("head"))
    model.get_layer("b").trainable = False
    assert LayerwiseDecay.from_model(adam(), model, decay=0.5).multipliers == {"a": 0.5, "head": 1.0}


def test_a_shared_layer_counts_where_it_is_first():
    shared = dense("shared")
    model = functional(functional(shared, name="one"), functional(shared, dense("own"), name="two"))
    assert LayerwiseDecay.from_model(adam(), model, decay=0.5).multipliers == {"shared": 0.5, "own": 1.0}


@pytest.mark.parametrize("kind", MODELS)
def test_a_loaded_model_trains_on_as_if_never_saved(kind, tmp_path):
    keras.utils.set_random_seed(0)
    model = MODELS[kind]()
    model.compile(LayerwiseDecay.from_model(adam(), model, decay=0.5), "mse")
    fit(model)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert isinstance(loaded.optimizer, LayerwiseDecay)
    assert scales(loaded.optimizer) == scales(model.optimizer)
    assert int(loaded.optimizer.iterations) == 4
    before = loaded.get_weights()
    for one in (model, loaded):
        fit(one)
    for received, expected, old in zip(loaded.get_weights(), model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(received, expected)
        assert np.abs(received - old).max() > 0


def test_a_mixed_precision_model_trains_on(tmp_path):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        keras.utils.set_random_seed(0)
        model = MODELS["nested sequential"]()
        model.compile(LayerwiseDecay.from_model(adam(), model, decay=0.5), "mse")
        fit(model)
        model.save(tmp_path / "model.keras")
        loaded = keras.models.load_model(tmp_path / "model.keras")
        for one in (model, loaded):
            fit(one)
    finally:
        keras.config.set_dtype_policy("float32")
    assert scales(loaded.optimizer.inner_optimizer) == [0.25, 0.25, 0.5, 0.5, 1.0, 1.0]
    for received, expected in zip(loaded.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(received, expected)


def test_weights_loaded_into_another_model_leave_its_multipliers(tmp_path):
    first, second = (MODELS["functional"]() for _ in "ab")
    for model, decay in ((first, 0.5), (second, 0.25)):
        model.compile(LayerwiseDecay.from_model(adam(), model, decay=decay), "mse")
        fit(model)
    first.save_weights(tmp_path / "first.weights.h5")
    second.load_weights(tmp_path / "first.weights.h5")
    assert scales(second.optimizer) == [0.0625, 0.0625, 0.25, 0.25, 1.0, 1.0]


def test_an_optimizer_without_its_state_does_not_guess():
    model = MODELS["sequential"]()
    optimizer = LayerwiseDecay.from_model(adam(), model)
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    other = functional(dense("first"), dense("head"))
    other.compile(again, "mse")
    with pytest.raises(
        ValueError, match=r"loaded without its state.*'outer/first' fits none\. Compile the model again"
    ):
        fit(other)


def test_paths_that_clash_are_refused():
    model = functional(functional(dense("d"), name="a"), functional(dense("d"), name="b"), dense("head"))
    with pytest.raises(ValueError, match=r"layers 'a/d' and 'b/d' apart.* 'd': give one of the layers another name"):
        LayerwiseDecay.from_model(adam(), model)


def test_clashes_do_no_harm_without_decay():
    model = functional(functional(dense("d"), name="a"), functional(dense("d"), name="b"))
    assert LayerwiseDecay.from_model(adam(), model, decay=1).multipliers == {"d": 1}


@pytest.mark.parametrize("decay", [0, -0.5, 1.5, float("nan"), True, "0.5"])
def test_a_decay_out_of_range_is_refused(decay):
    with pytest.raises(ValueError, match=r"from_model\(decay=.*\) needs a number over 0 and at most 1"):
        LayerwiseDecay.from_model(adam(), MODELS["functional"](), decay=decay)


def test_a_model_that_is_not_built_is_refused():
    with pytest.raises(ValueError, match="no layer with trainable weights in 'empty': build the model first"):
        LayerwiseDecay.from_model(adam(), keras.Sequential([dense("first")], name="empty"))
