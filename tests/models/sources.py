"""Sources of weights, with random values, and models that take them."""

import keras
import keras_hub
import numpy as np

from keras_nnx import models

SHAPE = (64, 64, 3)
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
    "ResNet50": lambda **k: keras.applications.ResNet50(weights=None, input_shape=SHAPE, **k),
    "ResNet50V2": lambda **k: keras.applications.ResNet50V2(weights=None, input_shape=SHAPE, **k),
    "ConvNeXtTiny": lambda **k: keras.applications.ConvNeXtTiny(weights=None, input_shape=SHAPE, **k),
    "EfficientNetB0": lambda **k: keras.applications.EfficientNetB0(weights=None, input_shape=SHAPE, **k),
}
BUILDERS = {
    "ResNet50": models.ResNet,
    "ResNet50V2": models.ResNet,
    "ConvNeXtTiny": models.ConvNeXt,
    "EfficientNetB0": models.EfficientNet,
}


def images(name):
    random = np.random.default_rng(1)
    pixels = random.uniform(0, 255, (2, *SHAPE)).astype("float32")
    return pixels / 127.5 - 1 if name.startswith("ResNet") else pixels
