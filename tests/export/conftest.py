"""One child process for the exports of a test worker, and one finished export that many tests read."""

import keras
import numpy as np
import pytest

import keras_nnx as nnx
from keras_nnx.export.workers import shared_worker


@pytest.fixture(scope="session", autouse=True)
def one_child_process():
    with shared_worker():
        yield


@pytest.fixture(scope="session")
def classifier():
    keras.utils.set_random_seed(1)
    image = keras.Input((8, 8, 1), name="image")
    x = keras.layers.Normalization(mean=np.linspace(90, 110, 1), variance=[400.0])(image)
    x = keras.layers.Conv2D(4, 3, strides=2, activation="gelu", name="convolution")(x)
    x = keras.layers.Flatten()(x)
    return keras.Model(image, keras.layers.Dense(3, activation="softmax", name="scores")(x), name="classifier")


@pytest.fixture(scope="session")
def pictures():
    return np.random.default_rng(5).uniform(60, 140, (64, 8, 8, 1)).astype("float32")


@pytest.fixture(scope="session")
def exported(classifier, pictures, tmp_path_factory):
    """A finished float32 export in all formats; tests copy it before they change anything."""
    return nnx.export_model(
        classifier,
        tmp_path_factory.mktemp("export") / "classifier",
        calibration=pictures,
        labels=("a", "b", "c"),
        metadata={"note": "for tests"},
    )
