"""Weights of keras.applications and KerasHub, carried over and proven."""

import re

import keras
import keras_hub
import numpy as np
import pytest

from keras_nnx import models
from keras_nnx.models.pretrained import vit as family

SHAPE = (64, 64, 3)
APPLICATIONS = keras.applications
VIT = {"patch_size": 16, "dim": 32, "depth": 3, "num_heads": 4}
HUB = {"image_shape": SHAPE, "patch_size": 16, "num_layers": 3, "num_heads": 4, "hidden_dim": 32, "mlp_dim": 128}


def randomized(model, seed=0):
    """The same network with no weight at a value as special as zero or one, batch statistics included."""
    random = np.random.default_rng(seed)
    for variable in model.weights:
        value = keras.ops.convert_to_numpy(variable)
        if variable.path.endswith("variance"):
            value = random.uniform(0.5, 2, value.shape)
        elif variable.path.endswith("gamma"):
            value = random.uniform(0.4, 0.8, value.shape)
        elif value.dtype == "float32":
            value = value + random.normal(0, 0.05, value.shape)
        variable.assign(value)
    for layer in model.layers:
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()
    return model


def hub(**arguments):
    return randomized(keras_hub.models.ViTBackbone(**{**HUB, **arguments}))


def vit(shape=SHAPE, **arguments):
    return models.ViT(shape, **{**VIT, "include_top": False, **arguments})


SOURCES = {
    "ResNet50": lambda **k: APPLICATIONS.ResNet50(weights=None, input_shape=SHAPE, **k),
    "ResNet50V2": lambda **k: APPLICATIONS.ResNet50V2(weights=None, input_shape=SHAPE, **k),
    "ConvNeXtTiny": lambda **k: APPLICATIONS.ConvNeXtTiny(weights=None, input_shape=SHAPE, **k),
    "EfficientNetB0": lambda **k: APPLICATIONS.EfficientNetB0(weights=None, input_shape=SHAPE, **k),
}
BUILDERS = {
    "ResNet50": models.ResNet,
    "ResNet50V2": models.ResNet,
    "ConvNeXtTiny": models.ConvNeXt,
    "EfficientNetB0": models.EfficientNet,
}


@pytest.fixture(scope="module")
def source():
    """Each source is made once: that takes seconds."""
    made = {}

    def get(name):
        if name not in made:
            made[name] = randomized(SOURCES[name](classes=7))
        return made[name]

    yield get
    keras.backend.clear_session()


def images(name):
    random = np.random.default_rng(1)
    pixels = random.uniform(0, 255, (2, *SHAPE)).astype("float32")
    return pixels / 127.5 - 1 if name.startswith("ResNet") else pixels


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


@pytest.fixture(scope="module")
def small(source):
    """A residual network of the source's kind with random weights, and what they were."""
    model = models.ResNet(SHAPE, 5, "ResNet50")
    return model, model.get_weights()


def test_another_number_of_classes_is_refused_unless_the_head_stays(source, small):
    model, before = small
    with pytest.raises(ValueError, match=r"logits of 'resnet' has 5 classes, but predictions of .* has 7: pass skip_h"):
        models.load_pretrained(model, source("ResNet50"))
    for value, old in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(value, old)
    carried = models.load_pretrained(model, source("ResNet50"), skip_head=True)
    assert carried.kept == ("logits/kernel", "logits/bias")
    np.testing.assert_array_equal(model.get_layer("logits").get_weights()[0], before[-2])


def test_a_source_that_computes_something_else_is_found_and_undone():
    """An activation is no weight and no setting that is compared: the features tell."""
    model = vit(block_options={"activation": "relu"})
    before = model.get_weights()
    with pytest.raises(ValueError, match="block_1 of 'vit' computes something else than that of"):
        models.load_pretrained(model, hub())
    for value, old in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(value, old)


def test_an_interrupted_transfer_changes_nothing(monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    model = vit()
    before = model.get_weights()
    monkeypatch.setattr(family, "compare", interrupt)
    with pytest.raises(KeyboardInterrupt):
        models.load_pretrained(model, hub())
    for value, old in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(value, old)


def test_the_deviations_in_published_files_are_no_variances(source, tmp_path):
    """The files of EfficientNet hold deviations where a variance belongs; Keras mends that for its own."""
    given = source("EfficientNetB0")
    norm = next(layer for layer in given.layers if isinstance(layer, keras.layers.Normalization))
    before = [keras.ops.convert_to_numpy(variable) for variable in (norm.adapt_mean, norm.adapt_variance)]
    norm.adapt_mean.assign(np.array([0.485, 0.456, 0.406]).reshape(before[0].shape))
    norm.adapt_variance.assign(np.array([0.229, 0.224, 0.225]).reshape(before[1].shape))
    given.save_weights(tmp_path / "published.weights.h5")
    norm.adapt_mean.assign(before[0])
    norm.adapt_variance.assign(before[1])
    model = models.EfficientNet(SHAPE, 7, "EfficientNetB0")
    models.load_pretrained(model, tmp_path / "published.weights.h5")
    pixels = model.get_layer("pixel_normalization")
    np.testing.assert_allclose(pixels.means, np.array([0.485, 0.456, 0.406]) * 255, rtol=1e-4)
    np.testing.assert_allclose(pixels.deviations, np.array([0.229, 0.224, 0.225]) * 255, rtol=1e-4)


@pytest.mark.parametrize(
    ("ours", "theirs", "message"),
    [
        ({"depth": 2}, {}, r"block_3 has no counterpart: 'vit' has 2 blocks"),
        ({"dim": 64}, {}, r"patches/projection of 'vit' has a kernel of shape \(16, 16, 3, 64\), but patch_embedding"),
        ({"num_heads": 2}, {}, r"block_1/attention of 'vit' has num_heads=2, but mha num_heads=4"),
        ({"registers": 1}, {}, r"puts 2 tokens in front of the patches, but .* 1: "),
        ({"pooling": "avg"}, {}, r"puts 0 tokens in front of the patches, but .* 1: "),
        ({"hidden_dim": 12}, {}, r"block_1/feed_forward/widen of 'vit' has a kernel of shape \(32, 12\)"),
        ({"block_options": {"layer_scale": 0.1}}, {}, r"block_1/attention_scale/gain of 'vit' has no counterpart"),
        ({"block_options": {"order": "post"}}, {}, r"block_1 of 'vit' has order='post'"),
        ({}, {"layer_norm_epsilon": 1e-3}, r"attention_norm of 'vit' has epsilon=1e-06, but ln_1 epsilon=0\.001"),
    ],
)
def test_what_does_not_fit_is_named(ours, theirs, message):
    with pytest.raises(ValueError, match=message):
        models.load_pretrained(vit(**ours), hub(**theirs))


@pytest.mark.parametrize(
    ("build", "arguments", "name", "message"),
    [
        (models.ResNet, {"variant": "ResNet50"}, "ResNet50V2", r"stem_normalization .* needs a layer 'conv1_bn'"),
        (models.ResNet, {"variant": "ResNet50V2"}, "ResNet50", r"needs a layer 'conv2_block1_preact_bn'"),
        (
            models.ResNet,
            {"variant": "ResNet34"},
            "ResNet50",
            r"stage_1_block_1/convolution_1 .* shape \(3, 3, 64, 64\)",
        ),
        (models.ResNet, {"variant": "ResNet50", "blocks": (3, 4, 5, 3)}, "ResNet50", r"conv4_block6_.* no counterpart"),
        (
            models.ResNet,
            {"variant": "ResNet50", "blocks": (3, 4, 7, 3)},
            "ResNet50",
            r"stage_3_block_7 .* needs a layer",
        ),
        (
            models.ResNet,
            {"variant": "ResNet50", "strides_first": False},
            "ResNet50",
            r"has strides=\(1, 1\), but conv3",
        ),
        (models.ResNet, {"variant": "ResNet50", "squeeze": 0.1}, "ResNet50", r"stage_1_block_1/gate/.* no counterpart"),
        (models.ResNet, {"variant": "ResNet50"}, "EfficientNetB0", r"is no ResNet of keras.applications"),
        (
            models.EfficientNet,
            {"variant": "EfficientNetB0", "include_preprocessing": False},
            "EfficientNetB0",
            r"does normalise the pixels itself, .* include_preprocessing=True",
        ),
        (models.EfficientNet, {"variant": "EfficientNetB1"}, "EfficientNetB0", r"stage_1_block_2 .* needs a layer"),
        (models.UNet, {}, "EfficientNetB0", r"load_pretrained knows the models ResNet, ConvNeXt, EfficientNet, ViT"),
    ],
)
def test_a_network_that_does_not_fit_is_named(build, arguments, name, message, source):
    with pytest.raises(ValueError, match=message):
        models.load_pretrained(build(SHAPE, 7, **arguments), source(name))


@pytest.mark.parametrize(
    ("file", "content", "error", "message"),
    [
        ("missing.weights.h5", None, FileNotFoundError, "There is no file"),
        ("weights.npz", b"x", ValueError, "'weights.npz' is no file of weights"),
        ("broken.weights.h5", b"not HDF5", ValueError, "'broken.weights.h5' is no file of weights"),
    ],
)
def test_files_that_are_none_are_named(file, content, error, message, tmp_path):
    if content is not None:
        (tmp_path / file).write_bytes(content)
    with pytest.raises(error, match=message):
        models.load_pretrained(vit(), tmp_path / file)


def test_a_file_of_another_network_is_refused(tmp_path):
    hub(num_layers=2).save_weights(tmp_path / "two.weights.h5")
    with pytest.raises(ValueError, match=r"'two.weights.h5' holds the weights of another network than 'vit'"):
        models.load_pretrained(vit(), tmp_path / "two.weights.h5")


def test_a_source_that_is_no_model():
    with pytest.raises(TypeError, match=r"takes a keras\.Model or a file as its source, but received 3"):
        models.load_pretrained(vit(), 3)


def test_a_deeper_network_in_a_file_is_refused(tmp_path):
    """Keras loads what there is a place for, and says nothing of the rest."""
    hub(num_layers=4).save_weights(tmp_path / "four.weights.h5")
    with pytest.raises(ValueError, match=r"holds the weights of another network than 'vit': the file has .*, too"):
        models.load_pretrained(vit(), tmp_path / "four.weights.h5")


def test_a_file_for_images_of_another_size(tmp_path):
    given = hub(image_shape=(96, 96, 3))
    given.save_weights(tmp_path / "large.weights.h5")
    model, same = vit(), vit()
    models.load_pretrained(model, tmp_path / "large.weights.h5")
    models.load_pretrained(same, given)
    for first, second in zip(model.get_weights(), same.get_weights(), strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("name", ["cut.weights.h5", "cut.keras"])
def test_a_file_that_was_not_written_to_its_end(name, tmp_path):
    given = hub()
    given.save_weights(tmp_path / name) if name.endswith("h5") else given.save(tmp_path / name)
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: len(data) // 2])
    with pytest.raises(ValueError, match=rf"'{re.escape(name)}' (is damaged|cannot be loaded)"):
        models.load_pretrained(vit(), tmp_path / name)


@pytest.mark.parametrize("options", [{"pooling": "gap"}, {"intermediate_dim": 32}])
def test_what_leads_to_a_classifier_has_to_agree(options):
    given = keras_hub.models.ViTImageClassifier(backbone=hub(), num_classes=4, **{"pooling": "token", **options})
    randomized(given, 2)
    model = vit(include_top=True, classes=4)
    before = model.get_weights()
    with pytest.raises(ValueError, match=r"what leads to the classifier of 'vit' computes|has no counterpart in 'vit'"):
        models.load_pretrained(model, given)
    for value, old in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(value, old)
    assert models.load_pretrained(model, given, skip_head=True).kept == ("logits/kernel", "logits/bias")


def test_another_pooling_under_the_same_classifier_is_refused(source):
    model = models.EfficientNet(SHAPE, 7, "EfficientNetB0", pooling="max")
    with pytest.raises(ValueError, match="what leads to the classifier of 'efficientnet' computes something else"):
        models.load_pretrained(model, source("EfficientNetB0"))


def test_a_source_that_resizes_its_images_is_refused():
    pixels = keras.Input((96, 96, 3))
    resized = keras.layers.Resizing(64, 64)(pixels)
    given = keras.applications.EfficientNetB0(weights=None, include_top=False, input_tensor=resized)
    model = models.EfficientNet((96, 96, 3), variant="EfficientNetB0", include_top=False)
    with pytest.raises(ValueError, match="differ in the preparation of pixels"):
        models.load_pretrained(model, given)


def test_what_keras_mends_itself_is_not_mended_twice(source, tmp_path, monkeypatch):
    """A whole model has the layer that makes deviations of the variances that published files hold."""
    published = source("EfficientNetB0")
    norm = next(layer for layer in published.layers if isinstance(layer, keras.layers.Normalization))
    before = keras.ops.convert_to_numpy(norm.adapt_variance)
    norm.adapt_variance.assign(np.array([0.229, 0.224, 0.225]).reshape(before.shape))
    weights = tmp_path / "published.weights.h5"
    published.save_weights(weights)
    norm.adapt_variance.assign(before)
    monkeypatch.setattr("keras.src.utils.file_utils.get_file", lambda *_, **__: str(weights))
    given = keras.applications.EfficientNetB0(weights="imagenet", include_top=False, input_shape=SHAPE)
    given.save(tmp_path / "whole.keras")
    for file in (given, tmp_path / "whole.keras", weights):
        model = models.EfficientNet(SHAPE, variant="EfficientNetB0", include_top=False)
        models.load_pretrained(model, file)
        deviations = model.get_layer("pixel_normalization").deviations
        np.testing.assert_allclose(deviations, np.array([0.229, 0.224, 0.225]) * 255, rtol=1e-4)
