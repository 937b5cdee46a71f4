"""Residual networks."""

import keras
import numpy as np
import pytest

from keras_nnx.models import ResNet

TINY = {"input_shape": (8, 6, 1), "classes": 3, "filters": (4, 6), "blocks": (1, 2)}
IMAGES = np.random.default_rng(0).standard_normal((2, 8, 6, 1)).astype("float32")


def tiny(**arguments):
    return ResNet(**{**TINY, **arguments})


@pytest.mark.parametrize(
    ("include_top", "pooling", "shape"),
    [
        (True, "avg", (2, 3)),
        (True, "max", (2, 3)),
        (False, "avg", (2, 6)),
        (False, "max", (2, 6)),
        (False, None, (2, 4, 3, 6)),
        (True, None, (2, 3)),
    ],
)
def test_every_ending(include_top, pooling, shape):
    model = tiny(include_top=include_top, pooling=pooling)
    outputs = np.asarray(model(IMAGES))
    assert outputs.shape == shape
    if include_top:
        np.testing.assert_allclose(outputs.sum(axis=-1), 1, rtol=1e-5)


@pytest.mark.parametrize(("pooling", "include_top"), [("max", True), (None, False)])
def test_export(pooling, include_top, export):
    report = export(tiny(include_top=include_top, pooling=pooling))
    assert report.proven
    assert sorted(report.artifacts) == ["onnx", "saved_model", "tflite"]


def test_images_of_any_size(export):
    model, fixed = tiny(input_shape=(None, None, 1)), tiny()
    assert model.output_shape == (None, 3)
    fixed.set_weights(model.get_weights())
    np.testing.assert_allclose(model(IMAGES), fixed(IMAGES), rtol=1e-5, atol=1e-6)
    report = export(model)
    assert report.proven
    assert report.signature.dynamic_dimensions == ("batch", "height", "width")


@pytest.mark.parametrize(("pooling", "reduce"), [("avg", np.mean), ("max", np.max)])
def test_features_are_the_pooled_map(pooling, reduce):
    full, pooled = (tiny(include_top=False, pooling=entry) for entry in (None, pooling))
    pooled.set_weights(full.get_weights())
    np.testing.assert_allclose(pooled(IMAGES), reduce(np.asarray(full(IMAGES)), axis=(1, 2)), rtol=1e-5, atol=1e-6)


def test_names_and_stages():
    model = tiny(name="eyes")
    assert (model.name, model.inputs[0].name, model.output_names) == ("eyes", "image", ["predictions"])
    stages = [layer.name for layer in model.layers if layer.name.startswith("stage")]
    assert stages == ["stage_1_block_1", "stage_2_block_1", "stage_2_block_2"]
    assert [model.get_layer(name).strides for name in stages] == [1, 2, 1]
    assert [model.get_layer(name).filters for name in stages] == [4, 6, 6]
    assert ResNet((8, 8, 1)).name == "resnet"


def test_scores_are_float32_under_a_half_policy():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = tiny()
    finally:
        keras.config.set_dtype_policy("float32")
    assert model.get_layer("stage_1_block_1").compute_dtype == "float16"
    assert model(IMAGES).dtype == "float32"


@pytest.mark.parametrize("pooling", ["avg", "max"])
def test_channels_are_last_whatever_the_configuration_says(monkeypatch, pooling):
    expected = tiny(include_top=False, pooling=pooling)
    monkeypatch.setattr(keras.src.backend.config, "_IMAGE_DATA_FORMAT", "channels_first")
    model = tiny(include_top=False, pooling=pooling)
    model.set_weights(expected.get_weights())
    np.testing.assert_allclose(model(IMAGES), expected(IMAGES), rtol=1e-5)


def test_a_saved_model_answers_the_same(tmp_path):
    model = tiny()
    model.save(tmp_path / "resnet.keras")
    np.testing.assert_array_equal(keras.saving.load_model(tmp_path / "resnet.keras")(IMAGES), model(IMAGES))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"blocks": (1,)}, r"ResNet\(filters=\(4, 6\), blocks=\(1,\)\) needs one number of filters and one of blocks"),
        ({"filters": (), "blocks": ()}, r"ResNet\(filters=\(\), blocks=\(\)\) needs one number of filters"),
        ({"filters": (4, 0)}, r"ResNet\(filters=0\) needs an integer of at least 1"),
        ({"blocks": (1, 0)}, r"ResNet\(blocks=0\) needs an integer of at least 1"),
        ({"classes": 1.5}, r"ResNet\(classes=1\.5\) needs an integer of at least 1"),
        ({"pooling": "token"}, r"ResNet\(pooling='token'\) is unknown: choose one of 'avg', 'max', None\."),
        ({"pooling": "token", "include_top": False}, r"choose one of 'avg', 'max', None\."),
    ],
)
def test_arguments_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        tiny(**arguments)
