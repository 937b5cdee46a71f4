"""Weights carried over from files."""

import re

import keras
import numpy as np
import pytest

from keras_nnx import models
from tests.models.sources import SHAPE, hub, vit


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
