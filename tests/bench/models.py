"""The models that are measured: random weights, since speed does not depend on them."""

import functools

import keras
import numpy as np

from tests.bench.networks import NETWORKS, SEED, gelu_for_stock, pair, unsettle

TOKENS = 128
VOCABULARIES = {"token_ids": 30522, "tokens": 1000}


def mobilenet_v2():
    return keras.applications.MobileNetV2(weights=None)


def resnet50():
    return keras.applications.ResNet50(weights=None)


def convnext_tiny():
    return keras.applications.ConvNeXtTiny(weights=None)


def bert():
    """The BERT that its authors call small: 4 layers, width 512, 8 heads, 29 million parameters."""
    import keras_hub

    return keras_hub.models.BertBackbone(
        vocabulary_size=VOCABULARIES["token_ids"],
        num_layers=4,
        num_heads=8,
        hidden_dim=512,
        intermediate_dim=2048,
        max_sequence_length=512,
    )


def vit(activation="gelu"):
    """12 pre-norm blocks of width 192 over 64 tokens, of Keras's own layers."""
    layers = keras.layers
    images = keras.Input((64, 64, 3), name="image")
    x = layers.Conv2D(192, 8, strides=8, name="patches")(images)
    x = layers.Reshape((64, 192), name="tokens")(x)
    for block in range(12):
        y = layers.LayerNormalization(epsilon=1e-6, name=f"norm_{block}")(x)
        x = layers.Add()([x, layers.MultiHeadAttention(3, 64, name=f"attention_{block}")(y, y)])
        y = layers.LayerNormalization(epsilon=1e-6, name=f"second_norm_{block}")(x)
        y = layers.Dense(768, activation=activation, name=f"wide_{block}")(y)
        x = layers.Add()([x, layers.Dense(192, name=f"narrow_{block}")(y)])
    x = layers.LayerNormalization(epsilon=1e-6, name="last_norm")(x)
    x = layers.GlobalAveragePooling1D(name="pool")(x)
    return keras.Model(images, layers.Dense(10, name="scores")(x), name="vit")


def vit_for_stock():
    """The same function, with a Gelu that Keras's export to ONNX can write."""
    return vit(gelu_for_stock)


def written_twice(name, by):
    """A network that stock exports as it is written with Keras's layers, and we export as it is written with ours."""
    ours, stock = pair(name, gelu_for_stock)
    return ours if by == "ours" else stock


MODELS = {
    "MobileNetV2": mobilenet_v2,
    "ResNet50": resnet50,
    "ConvNeXtTiny": convnext_tiny,
    "BERT, 4 layers of 512": bert,
    "ViT, 12 blocks of 192": vit,
    **{name: functools.partial(written_twice, name, "ours") for name in NETWORKS},
}
FOR_STOCK = {
    "ViT, 12 blocks of 192": vit_for_stock,
    **{name: functools.partial(written_twice, name, "stock") for name in NETWORKS},
}
"""What Keras exports instead: it would not write the vision transformer otherwise, and knows no blocks of ours."""


def build(name, by="ours"):
    keras.utils.set_random_seed(SEED)
    model = (FOR_STOCK if by == "stock" and name in FOR_STOCK else MODELS)[name]()
    if name not in NETWORKS:
        unsettle(model)
    return model


def inputs(model):
    """Return one sample for a model, by the names of its inputs."""
    generator = np.random.default_rng(SEED)
    samples = {}
    for tensor in model.inputs:
        shape = [1, *(TOKENS if size is None else size for size in tensor.shape[1:])]
        if tensor.name in VOCABULARIES:
            samples[tensor.name] = generator.integers(1, VOCABULARIES[tensor.name], shape).astype("int32")
        elif tensor.dtype == "int32":
            samples[tensor.name] = np.full(shape, int(tensor.name == "padding_mask"), "int32")
        else:
            samples[tensor.name] = generator.normal(size=shape).astype("float32")
    return samples
