"""A model without its head, or up to a layer."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import keras_nnx as nnx
from keras_nnx.metrics import FrechetDistance, feature_extractor

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.standard_normal((3, 8, 8, 2)).astype("float32")


def backbone():
    return keras.Sequential(
        [
            keras.Input((8, 8, 2)),
            layers.Conv2D(4, 3, name="convolution"),
            layers.Dense(5, name="gate"),
            layers.GlobalAveragePooling2D(name="pool"),
        ],
        name="backbone",
    )


def sequential():
    """Built bit by bit, so that Keras calls each layer several times."""
    model = keras.Sequential(name="classifier")
    for layer in [
        keras.Input((8, 8, 2)),
        layers.Conv2D(4, 3, name="convolution"),
        layers.Flatten(name="pool"),
        layers.Dense(6, name="hidden"),
        layers.Dropout(0.5, name="dropout"),
        layers.Dense(3, name="head"),
        layers.Softmax(name="scores"),
    ]:
        model.add(layer)
    return model


def functional():
    image = keras.Input((8, 8, 2), name="image")
    x = backbone()(image)
    x = x * 2 + layers.Dense(5, name="side")(x)
    return keras.Model(image, layers.Activation("softmax")(layers.Dense(3, name="head")(x)), name="classifier")


def nested():
    inside = keras.Sequential([keras.Input((8, 8, 2)), functional()], name="inside")
    return keras.Sequential([keras.Input((8, 8, 2)), layers.Rescaling(0.5), inside, layers.Softmax()], name="outside")


def answers(model):
    return ops.convert_to_numpy(model(IMAGES, training=False))


def with_head(features, model, scores):
    """What the head of the model makes of features."""
    (head,) = [layer for layer in model._flatten_layers() if layer.name in ("head", "logits")]
    return ops.convert_to_numpy(scores(head(features)))


@pytest.mark.parametrize(
    ("build", "scores", "size"),
    [(sequential, ops.softmax, 6), (functional, ops.softmax, 5), (nested, lambda x: ops.softmax(ops.softmax(x)), 5)],
)
def test_what_goes_into_the_head(build, scores, size):
    model = build()
    features = answers(feature_extractor(model))
    assert features.shape == (3, size)
    np.testing.assert_allclose(with_head(features, model, scores), answers(model), rtol=1e-5)


def test_weights_are_those_of_the_model():
    model = functional()
    extractor = feature_extractor(model)
    before = answers(extractor)
    model.get_layer("backbone").get_layer("convolution").kernel.assign_add(
        np.ones(model.get_layer("backbone").get_layer("convolution").kernel.shape)
    )
    assert np.abs(answers(extractor) - before).max() > 0.1
    np.testing.assert_allclose(with_head(answers(extractor), model, ops.softmax), answers(model), rtol=1e-5)


def test_the_model_stays_as_it_was():
    model = nested()
    expected, config = answers(model), model.get_config()
    feature_extractor(model)
    feature_extractor(model, "inside/classifier/backbone/pool")
    np.testing.assert_array_equal(answers(model), expected)
    assert model.get_config() == config
    np.testing.assert_array_equal(answers(keras.models.clone_model(model)).shape, expected.shape)


@pytest.mark.parametrize(
    ("build", "path", "shape"),
    [
        (sequential, "pool", (144,)),
        (sequential, "scores", (3,)),
        (functional, "image", (8, 8, 2)),
        (functional, "backbone", (5,)),
        (functional, "backbone/convolution", (6, 6, 4)),
        (nested, "inside/classifier/backbone/pool", (5,)),
    ],
)
def test_a_named_layer(build, path, shape):
    extractor = feature_extractor(build(), path)
    assert extractor.output_shape == (None, *shape)
    assert answers(extractor).shape == (3, *shape)


def test_a_named_layer_inside_answers_as_it_does_there():
    model = functional()
    expected = answers(model.get_layer("backbone"))
    np.testing.assert_allclose(answers(feature_extractor(model, "backbone/pool")), expected, rtol=1e-6)


def test_it_is_an_extractor():
    distance = FrechetDistance(feature_extractor(nested()))
    distance.update_real(IMAGES)
    distance.update_generated(IMAGES)
    assert distance.result() == pytest.approx(0, abs=1e-6)


def test_models_of_this_package():
    for model, size in [
        (nnx.models.ResNet((8, 8, 2), classes=3, filters=(4, 8), blocks=(1, 1)), 8),
        (nnx.models.ViT((8, 8, 2), classes=3, patch_size=4, dim=8, depth=1, num_heads=2), 8),
    ]:
        features = answers(feature_extractor(model))
        assert features.shape == (3, size)
        np.testing.assert_allclose(with_head(features, model, ops.softmax), answers(model), rtol=1e-4, atol=1e-6)


def test_a_model_of_two_inputs_inside():
    first, second = keras.Input((4,), name="first"), keras.Input((4,), name="second")
    inner = keras.Model(
        {"first": first, "second": second},
        layers.Dense(2, name="head")(layers.Add(name="sum")([first, second])),
        name="inner",
    )
    outer_input = keras.Input((4,))
    outer = keras.Model(outer_input, inner({"first": outer_input, "second": outer_input * 3}))
    values = RANDOM.standard_normal((2, 4)).astype("float32")
    np.testing.assert_allclose(feature_extractor(outer)(values), values * 4, rtol=1e-6)
    np.testing.assert_allclose(feature_extractor(outer, "inner/sum")(values), values * 4, rtol=1e-6)


def test_heads_that_are_none():
    image = keras.Input((8, 8, 2))
    pooled = layers.GlobalAveragePooling2D(name="pool")(image)
    two = keras.Model(image, [layers.Dense(2, name="one")(pooled), layers.Dense(3, name="other")(pooled)], name="two")
    with pytest.raises(
        ValueError, match=r"'two'\) expects .* one Dense, but it ends in Dense 'one', Dense 'other': name"
    ):
        feature_extractor(two)
    headless = keras.Sequential([keras.Input((8, 8, 2)), layers.Conv2D(4, 3, name="last")], name="headless")
    message = r"'headless'\) .* ends in Conv2D 'last': name the layer whose output the features are, one of .*'last'\.$"
    with pytest.raises(ValueError, match=message):
        feature_extractor(headless)
    outer = keras.Sequential([keras.Input((8, 8, 2)), headless], name="outer")
    with pytest.raises(ValueError, match=r"it ends in Conv2D 'headless/last': name .*'headless/last'"):
        feature_extractor(outer)
    plain = keras.Sequential([keras.Input((8, 8, 2)), layers.Flatten()], name="plain")
    with pytest.raises(ValueError, match="it ends in no layer with weights"):
        feature_extractor(plain)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("heed", r"layer='heed'\) names no layer of 'classifier': choose one of 'head'\.$"),
        ("xyz", r"names no layer of 'classifier': choose one of 'image', 'backbone', .*'head'"),
        ("backbone/pol", r"layer='backbone/pol'\) names no layer of 'backbone': choose one of 'backbone/pool'\.$"),
        ("head/kernel", r"layer='head/kernel'\) leads into a layer: 'head' is a Dense and no model"),
    ],
)
def test_layers_that_are_not_there(path, message):
    with pytest.raises(ValueError, match=message):
        feature_extractor(functional(), path)


def test_a_layer_that_is_called_twice():
    image, shared = keras.Input((4,)), layers.Dense(4, name="shared")
    model = keras.Model(image, layers.Dense(2)(shared(shared(image))), name="twice")
    with pytest.raises(ValueError, match=r"layer='shared'\) is called 2 times in 'twice', and has an output for each"):
        feature_extractor(model, "shared")
    assert feature_extractor(model).output_shape == (None, 4)


def test_a_layer_of_several_outputs():
    image = keras.Input((4, 4))
    outputs, _, _ = layers.LSTM(3, return_state=True, name="lstm")(image)
    model = keras.Model(image, layers.Dense(2)(outputs))
    with pytest.raises(ValueError, match=r"layer='lstm'\) has 3 outputs: name a layer with one"):
        feature_extractor(model, "lstm")


@keras.saving.register_keras_serializable(package="tests")
class Subclassed(keras.Model):
    def call(self, inputs):
        return inputs


@pytest.mark.parametrize(
    "model", [Subclassed(name="own"), keras.Sequential([layers.Dense(2)], name="own"), layers.Dense(2)]
)
def test_models_whose_layers_are_not_connected(model):
    with pytest.raises(ValueError, match=rf"received {model.name!r}, a \w+ whose layers are not connected"):
        feature_extractor(model)
