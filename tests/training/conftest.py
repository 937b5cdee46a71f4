"""A game small enough to be compiled in a moment."""

import keras
import numpy as np
import pytest

from keras_nnx.training import GAN

LATENTS, SHAPE = 3, (2, 2, 1)


def build_networks(classes=None, dtype=None, spectral=None, latents=LATENTS, ending="tanh"):
    """Return a generator and a discriminator of images 2 x 2."""
    noise, picture = keras.Input((latents,)), keras.Input(SHAPE)
    one_hot = keras.layers.CategoryEncoding(classes, "one_hot", dtype=dtype) if classes else None
    labels = keras.Input((), dtype="int32") if classes else None

    def beside(tensor):
        if classes is None:
            return tensor
        return keras.layers.Concatenate(dtype=dtype)([tensor, one_hot(keras.layers.Reshape((1,))(labels))])

    hidden = keras.layers.Dense(5, dtype=dtype)(beside(noise))
    hidden = keras.layers.BatchNormalization(dtype=dtype)(hidden)
    made = keras.layers.Reshape(SHAPE, dtype=dtype)(keras.layers.Dense(4, ending, dtype=dtype)(hidden))
    first = keras.layers.Dense(6, dtype=dtype)
    first = spectral(first, dtype=dtype) if spectral else first
    flat = beside(keras.layers.Flatten(dtype=dtype)(picture))
    score = keras.layers.Dense(1, dtype=dtype)(keras.layers.LeakyReLU(dtype=dtype)(first(flat)))
    return (
        keras.Model([noise, labels] if classes else noise, made, name="generator"),
        keras.Model([picture, labels] if classes else picture, score, name="discriminator"),
    )


def build_gan(classes=None, **more):
    """Return a GAN of both, not compiled."""
    keras.utils.set_random_seed(0)
    made = {name: more.pop(name) for name in ("dtype", "spectral") if name in more}
    return GAN(*build_networks(classes, **made), num_classes=classes, **{"seed": 1, **more})


@pytest.fixture(scope="session")
def images():
    return np.random.default_rng(0).uniform(-1, 1, (24, *SHAPE)).astype("float32")


@pytest.fixture(scope="session")
def labels():
    return (np.arange(24) % 3).astype("int32")
