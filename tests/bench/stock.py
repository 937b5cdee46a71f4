"""The networks of `tests.bench.networks`, written with the layers of Keras: the yardstick.

A layer is named after the one of ours whose weights it takes, with underscores between the names of the path.
"""

import keras
import numpy as np
from keras import layers, ops

EPSILON = 1e-6


class Positions(layers.Layer):
    """Adds a vector to each step: those in `table`, or learned ones."""

    def __init__(self, table=None, **kwargs):
        super().__init__(**kwargs)
        self.table = table

    def build(self, input_shape):
        self.positions = self.table if self.table is not None else self.add_weight(input_shape[1:], name="positions")

    def call(self, inputs):
        return inputs + ops.cast(self.positions, inputs.dtype)


class ClassToken(layers.Layer):
    """Puts a learned token in front; no layer of Keras does."""

    def build(self, input_shape):
        self.token = self.add_weight((1, 1, input_shape[-1]), name="token")

    def call(self, inputs):
        token = ops.broadcast_to(self.token, (ops.shape(inputs)[0], 1, inputs.shape[-1]))
        return ops.concatenate([ops.cast(token, inputs.dtype), inputs], axis=1)


def resnet18(gelu=None):
    """ResNet-18 with the small stem."""
    images = keras.Input((32, 32, 3), name="image")
    x = _normalized(_convolution(images, 64, 3, 1, "stem"), "stem_normalization")
    x = layers.Activation("relu")(x)
    for stage, filters in enumerate((64, 128, 256, 512), start=1):
        for block in (1, 2):
            x = _residual(x, filters, 2 if stage > 1 and block == 1 else 1, f"stage_{stage}_block_{block}")
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(images, _scores(x, 10), name="resnet18")


def vit_tiny(gelu="gelu"):
    """ViT-Ti/4: 64 patches and a class token."""
    images = keras.Input((32, 32, 3), name="image")
    x = layers.Conv2D(192, 4, strides=4, name="patches_projection")(images)
    x = layers.Reshape((64, 192))(x)
    x = ClassToken(name="tokens")(Positions(name="positions")(x))
    x = _blocks(x, 12, 192, 3, gelu)
    return keras.Model(images, _scores(x[:, 0], 10), name="vit_tiny")


def decoder(gelu="gelu"):
    """Four causal blocks of width 128 over 256 tokens."""
    tokens = keras.Input((256,), dtype="int32", name="tokens")
    x = layers.Embedding(1000, 128, name="embedding")(tokens)
    x = Positions(_waves(256, 128), name="positions")(x)
    x = _blocks(x, 4, 128, 4, gelu, causal=True)
    return keras.Model(tokens, _scores(x, 1000), name="decoder")


def recurrent(cell, _gelu=None):
    """Two normalised recurrent layers of 128 over 100 steps, each added to its input."""
    sequence = keras.Input((100, 64), name="sequence")
    x = layers.Dense(128, name="features")(sequence)
    for block in (1, 2):
        y = layers.LayerNormalization(epsilon=EPSILON, name=f"block_{block}_norm")(x)
        y = cell(128, return_sequences=True, name=f"block_{block}_recurrence")(y)
        x = layers.Add()([x, y])
    x = layers.LayerNormalization(epsilon=EPSILON, name="normalization")(x)
    x = layers.GlobalAveragePooling1D(name="pool")(x)
    return keras.Model(sequence, _scores(x, 10), name="recurrent")


def _residual(x, filters, strides, name):
    y = _normalized(_convolution(x, filters, 3, strides, f"{name}_convolution_1"), f"{name}_normalization_1")
    y = layers.Activation("relu")(y)
    y = _normalized(_convolution(y, filters, 3, 1, f"{name}_convolution_2"), f"{name}_normalization_2")
    if strides > 1:
        x = _convolution(x, filters, 1, strides, f"{name}_shortcut_convolution")
        x = _normalized(x, f"{name}_shortcut_normalization")
    return layers.Activation("relu")(layers.Add()([x, y]))


def _convolution(x, filters, size, strides, name):
    if strides > 1 and size > 1:  # as many zeros before as behind, as in keras.applications
        x = layers.ZeroPadding2D(size // 2)(x)
    padding = "same" if strides == 1 else "valid"
    return layers.Conv2D(filters, size, strides, padding, use_bias=False, name=name)(x)


def _normalized(x, name):
    return layers.BatchNormalization(momentum=0.9, epsilon=1.001e-5, name=name)(x)


def _blocks(x, depth, dim, heads, gelu, causal=False):
    for block in range(1, depth + 1):
        name = f"block_{block}"
        y = layers.LayerNormalization(epsilon=EPSILON, name=f"{name}_attention_norm")(x)
        attention = layers.MultiHeadAttention(heads, dim // heads, name=f"{name}_attention")
        x = layers.Add()([x, attention(y, y, use_causal_mask=causal)])
        y = layers.LayerNormalization(epsilon=EPSILON, name=f"{name}_feed_forward_norm")(x)
        y = layers.Dense(4 * dim, activation=gelu, name=f"{name}_feed_forward_widen")(y)
        x = layers.Add()([x, layers.Dense(dim, name=f"{name}_feed_forward_narrow")(y)])
    return layers.LayerNormalization(epsilon=EPSILON, name="normalization")(x)


def _scores(x, classes):
    x = layers.Dense(classes, name="logits")(x)
    return layers.Activation("softmax", dtype="float32", name="predictions")(x)


def _waves(length, dim):
    speeds = 10000.0 ** -(np.arange(dim // 2) / (dim / 2))
    angles = np.arange(length)[:, None] * speeds
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype("float32")
