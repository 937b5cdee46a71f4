"""Weights of keras.applications and KerasHub, carried over: the features agree."""

import keras
import keras_hub
import numpy as np
import pytest

from keras_nnx import models
from tests.models.sources import BUILDERS, SHAPE, SOURCES, hub, images, randomized, vit


def apart(ours, theirs):
    """The largest difference, as a share of the largest value where that is over one."""
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    return float(np.abs(ours - theirs).max() / max(1, np.abs(theirs).max()))


@pytest.mark.parametrize("name", SOURCES)
def test_features_and_scores_agree(name, source, tmp_path):
    given = source(name)
    model = BUILDERS[name](SHAPE, 7, name)
    carried = models.load_pretrained(model, given)
    assert carried.kept == ()
    assert carried.difference < 1e-4
    assert apart(model(images(name)), given(images(name))) < 1e-4
    features = BUILDERS[name](SHAPE, variant=name, include_top=False, pooling="avg")
    without_top = SOURCES[name](include_top=False, pooling="avg")
    without_top.set_weights(given.get_weights()[:-2])
    for layer in without_top.layers:
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()
    models.load_pretrained(features, without_top)
    assert apart(features(images(name)), without_top(images(name))) < 1e-4
    given.save_weights(tmp_path / "source.weights.h5")
    model = BUILDERS[name](SHAPE, 7, name)
    assert models.load_pretrained(model, tmp_path / "source.weights.h5").kept == ()
    assert apart(model(images(name)), given(images(name))) < 1e-4


def test_a_vision_transformer_of_kerashub(tmp_path):
    given, model = hub(), vit()
    carried = models.load_pretrained(model, given)
    assert "54 weights carried, features apart by " in str(carried)
    assert apart(model(images("ResNet")), given(images("ResNet"))) < 1e-4
    given.save_weights(tmp_path / "vit.weights.h5")
    given.save(tmp_path / "vit.keras")
    for file in ("vit.weights.h5", "vit.keras"):
        model = vit()
        models.load_pretrained(model, str(tmp_path / file))
        assert apart(model(images("ResNet")), given(images("ResNet"))) < 1e-4


def test_a_classifier_of_kerashub():
    given = keras_hub.models.ViTImageClassifier(backbone=hub(), num_classes=4, pooling="token", activation=None)
    randomized(given, 2)
    model = vit(include_top=True, classes=4, classifier_activation=None)
    assert models.load_pretrained(model, given).kept == ()
    assert apart(model(images("ResNet")), given(images("ResNet"), training=False)) < 1e-4


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({}, {"use_mha_bias": False, "use_patch_bias": False}),
        ({"pooling": "avg"}, {"use_class_token": False}),
        ({"patch_size": (16, 32)}, {"patch_size": (16, 32)}),
    ],
)
def test_a_vision_transformer_of_another_configuration(ours, theirs):
    given, model = hub(**theirs), vit(**ours)
    models.load_pretrained(model, given)
    expected = np.asarray(given(images("ResNet")))
    assert apart(model(images("ResNet")), expected.mean(1) if "pooling" in ours else expected) < 1e-4


def test_positions_follow_the_size_of_the_images():
    given, model = hub(), vit((96, 32, 3))
    models.load_pretrained(model, given)
    table = keras.ops.convert_to_numpy(given.get_layer("vit_patching_and_embedding").position_embedding.embeddings)
    grid = table[1:].reshape(1, 4, 4, 32)
    expected = keras.ops.image.resize(grid, (6, 2), interpolation="bicubic")
    np.testing.assert_allclose(
        model.get_layer("positions").positions, keras.ops.reshape(expected, (12, 32)), rtol=1e-5, atol=1e-6
    )


def test_a_source_within_another_model_is_found(source):
    given = source("EfficientNetB0")
    inner = keras.Model(given.input, given.get_layer("top_activation").output)
    outer = keras.Sequential([keras.Input(SHAPE), inner, keras.layers.GlobalAveragePooling2D()])
    model = models.EfficientNet((None, None, 3), 4, "EfficientNetB0")
    assert models.load_pretrained(model, outer).kept == ("logits/kernel", "logits/bias")
    pooled = keras.Model(model.input, model.get_layer("pool").output)
    assert apart(pooled(images("pixels")), outer(images("pixels"))) < 1e-4
