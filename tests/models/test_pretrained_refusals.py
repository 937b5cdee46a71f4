"""Sources that do not fit: named, and nothing is changed."""

import keras
import keras_hub
import numpy as np
import pytest

from keras_nnx import models
from keras_nnx.models.pretrained import vit as family
from tests.models.sources import SHAPE, hub, randomized, vit


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


def test_a_source_that_is_no_model():
    with pytest.raises(TypeError, match=r"takes a keras\.Model or a file as its source, but received 3"):
        models.load_pretrained(vit(), 3)


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
