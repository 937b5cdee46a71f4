"""A layer is its arguments: configurations and saved models."""

import json

import keras
import numpy as np

from tests.contract.cases import BATCH


def plain(value):
    """A value as a configuration holds it."""
    return value if isinstance(value, int | float | str | tuple | None) else keras.saving.serialize_keras_object(value)


def as_saved(config):
    """A configuration as a file holds it, where a tuple is a list."""
    return json.dumps(config, sort_keys=True)


def unbuilt(value):
    """A configuration without the shapes that a layer, or one in it, was built for."""
    if isinstance(value, dict):
        return {key: unbuilt(entry) for key, entry in value.items() if key != "build_config"}
    return value


def meaning(key, value):
    """What an entry of a configuration stands for: initializers and activations have several spellings."""
    if key.endswith("initializer"):
        return keras.initializers.serialize(keras.initializers.get(value))
    return plain(value)


def test_config_round_trip(case):
    layer = case.make(name="own_name", trainable=False)
    config = layer.get_config()
    again = type(layer).from_config(dict(config))  # a recurrent layer takes its cell out
    assert again.get_config() == config
    assert (again.name, again.trainable) == ("own_name", False)


def test_config_holds_what_was_passed_before_and_after_build(case):
    layer = case.make()
    before = layer.get_config()
    passed = {key: meaning(key, value) for key, value in case.arguments.items()}
    assert {key: meaning(key, case.passed_in(before)[key]) for key in passed} == passed
    layer(*case.inputs())
    assert unbuilt(layer.get_config()) == unbuilt(before)


def test_config_keeps_the_dtype_policy(case):
    layer = case.make(dtype="mixed_bfloat16")
    again = type(layer).from_config(layer.get_config())
    assert again.dtype_policy == layer.dtype_policy


def test_registered_in_the_package(case):
    name = f"keras_nnx>{case.layer.__name__}"
    assert keras.saving.get_registered_name(case.layer) == name
    assert keras.saving.get_registered_object(name) is case.layer


def test_saved_model_answers_the_same(case, tmp_path):
    model = case.model(case.make_built())
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    assert as_saved(loaded.layers[-1].get_config()) == as_saved(model.layers[-1].get_config())
    expected, received = (entry(case.inputs(), training=False) for entry in (model, loaded))
    assert expected.shape[0] == BATCH
    np.testing.assert_array_equal(received, expected)
