"""Vision transformers."""

import keras
import numpy as np
import pytest

from keras_nnx.layers import ClassToken
from keras_nnx.models import ViT

TINY = {"input_shape": (8, 6, 1), "classes": 3, "patch_size": 2, "dim": 8, "depth": 2, "num_heads": 2}
IMAGES = np.random.default_rng(0).standard_normal((2, 8, 6, 1)).astype("float32")


def tiny(**arguments):
    return ViT(**{**TINY, **arguments})


@pytest.mark.parametrize(
    ("include_top", "pooling", "shape"),
    [
        (True, "token", (2, 3)),
        (True, "avg", (2, 3)),
        (False, "token", (2, 8)),
        (False, "avg", (2, 8)),
        (False, None, (2, 13, 8)),
    ],
)
def test_every_ending(include_top, pooling, shape):
    model = tiny(include_top=include_top, pooling=pooling)
    outputs = np.asarray(model(IMAGES))
    assert outputs.shape == shape
    assert any(isinstance(layer, ClassToken) for layer in model.layers) == (pooling != "avg")
    if include_top:
        np.testing.assert_allclose(outputs.sum(axis=-1), 1, rtol=1e-5)


@pytest.mark.parametrize(("pooling", "include_top"), [("token", True), ("avg", True), (None, False)])
def test_export(pooling, include_top, export):
    report = export(tiny(include_top=include_top, pooling=pooling))
    assert report.proven
    assert sorted(report.artifacts) == ["onnx", "saved_model", "tflite"]


def test_features_are_read_where_pooling_says():
    tokens, token = (tiny(include_top=False, pooling=pooling) for pooling in (None, "token"))
    token.set_weights(tokens.get_weights())
    np.testing.assert_allclose(token(IMAGES), np.asarray(tokens(IMAGES))[:, 0], rtol=1e-5, atol=1e-6)


def test_scores_are_a_softmax_of_the_logits():
    scores, logits = (tiny(classifier_activation=activation) for activation in ("softmax", None))
    logits.set_weights(scores.get_weights())
    np.testing.assert_allclose(keras.ops.softmax(logits(IMAGES)), scores(IMAGES), rtol=1e-5)


def test_names():
    model = tiny(name="eyes")
    assert (model.name, model.inputs[0].name, model.output_names) == ("eyes", "image", ["predictions"])
    assert {"patches", "tokens", "positions", "block_1", "block_2", "logits"} <= {x.name for x in model.layers}
    assert ViT((8, 8, 1)).name == "vit"


def test_the_number_of_weights():
    patches, positions, token, norm = 4 * 8 + 8, 12 * 8, 8, 16
    block = 2 * norm + 4 * (8 * 8 + 8) + 8 * 32 + 32 + 32 * 8 + 8
    assert tiny().count_params() == patches + positions + token + 2 * block + norm + 8 * 3 + 3


@pytest.mark.parametrize(("depth", "rates"), [(1, [0.2]), (4, [0.05, 0.1, 0.15, 0.2])])
def test_stochastic_depth_grows_to_the_last_block(depth, rates):
    model = tiny(depth=depth, stochastic_depth=0.2)
    blocks = [model.get_layer(f"block_{index + 1}") for index in range(depth)]
    assert [block.stochastic_depth for block in blocks] == pytest.approx(rates)


def test_dropout_reaches_tokens_and_blocks():
    model = tiny(dropout=0.3)
    assert model.get_layer("dropout").rate == 0.3
    assert [model.get_layer(f"block_{index}").dropout for index in (1, 2)] == [0.3, 0.3]


def test_scores_are_float32_under_a_half_policy():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = tiny()
    finally:
        keras.config.set_dtype_policy("float32")
    assert model.get_layer("block_1").compute_dtype == "float16"
    assert model(IMAGES).dtype == "float32"


def test_tokens_are_averaged_whatever_the_configuration_says(monkeypatch):
    monkeypatch.setattr(keras.src.backend.config, "_IMAGE_DATA_FORMAT", "channels_first")
    assert tiny(pooling="avg").output_shape == (None, 3)
    assert tiny(pooling="avg", include_top=False).output_shape == (None, 8)


def test_a_saved_model_answers_the_same(tmp_path):
    model = tiny()
    model.save(tmp_path / "vit.keras")
    np.testing.assert_array_equal(keras.saving.load_model(tmp_path / "vit.keras")(IMAGES), model(IMAGES))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"depth": 0}, r"ViT\(depth=0\) needs an integer of at least 1"),
        ({"classes": 0}, r"ViT\(classes=0\) needs an integer of at least 1"),
        ({"pooling": "sum"}, r"ViT\(pooling='sum'\) is unknown: choose one of 'token', 'avg', 'max', None\."),
        ({"dropout": 1}, r"TransformerEncoderBlock\(dropout=1\) needs a number of at least 0 and under 1"),
        ({"stochastic_depth": 1.5, "depth": 1}, r"ViT\(stochastic_depth=1\.5\) needs a number"),
        ({"num_heads": 3}, r"\(num_heads=3\) cannot split tokens of size 8 evenly"),
        ({"patch_size": 5}, r"\(patch_size=5\) cannot cut an input of height 8"),
        ({"input_shape": (None, 8, 1)}, "needs to know how many there are: give the images a fixed height and width"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        tiny(**arguments)
