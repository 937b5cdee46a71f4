"""Pixels with the mean and the spread taken out."""

import numpy as np
import pytest

from keras_nnx.layers import PixelNormalization

PIXELS = np.random.default_rng(0).uniform(0, 255, (2, 4, 5, 3)).astype("float32")


def test_the_statistics_of_imagenet():
    expected = (PIXELS / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    np.testing.assert_allclose(PixelNormalization()(PIXELS), expected, rtol=1e-5, atol=1e-6)


def test_other_channels_take_the_average():
    expected = (PIXELS[..., :1] / 255 - 0.449) / 0.226
    np.testing.assert_allclose(PixelNormalization()(PIXELS[..., :1]), expected, rtol=1e-5, atol=1e-5)


def test_training_leaves_them_alone():
    layer = PixelNormalization()
    layer.build((None, None, None, 3))
    assert (len(layer.trainable_variables), len(layer.weights)) == (0, 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mean": [1.0]}, r"PixelNormalization has 1 means, but received 3 channels: give one for each"),
        ({"deviation": [1.0, 0.0, 1.0]}, r"PixelNormalization\(deviation=0\.0\) needs a number over 0"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        PixelNormalization(**arguments)(PIXELS)
