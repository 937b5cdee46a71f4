"""The smallest member of every family of `keras.applications`, with random weights, proven in all formats."""

import keras
import numpy as np
import pytest

import keras_nnx as nnx

FAMILIES = {
    "MobileNet": 64,
    "MobileNetV2": 64,
    "MobileNetV3Small": 64,
    "NASNetMobile": 64,
    "EfficientNetB0": 64,
    "EfficientNetV2B0": 64,
    "DenseNet121": 64,
    "ResNet50": 64,
    "ResNet50V2": 64,
    "ConvNeXtTiny": 64,
    "Xception": 96,
    "InceptionV3": 96,
    "InceptionResNetV2": 96,
    "VGG16": 64,
}


def enliven(model):
    """Give the normalisations of a model statistics, so that its untrained answer depends on its input."""
    random = np.random.default_rng(0)
    ranges = {"gamma": (0.8, 1.2), "beta": (-0.2, 0.2), "moving_mean": (-0.2, 0.2), "moving_variance": (0.8, 1.2)}
    for weight in model.weights:
        if weight.name in ranges:
            weight.assign(random.uniform(*ranges[weight.name], weight.shape))


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", FAMILIES)
def test_a_family(name, tmp_path):
    size = FAMILIES[name]
    build = getattr(keras.applications, name)
    model = build(weights=None, input_shape=(size, size, 3), classes=10, classifier_activation=None)
    enliven(model)
    assert nnx.export_model(model, tmp_path / "x").proven
