"""The layers that trade pixels for channels, shrink without aliasing, or standardise their filters."""

import keras
import numpy as np
import pytest
import scipy.signal
from hypothesis import given
from hypothesis import strategies as st

import keras_nnx as nnx

RANDOM = np.random.default_rng(0)


@given(factor=st.integers(1, 4), height=st.integers(1, 5), width=st.integers(1, 5), channels=st.integers(1, 3))
def test_shuffling_lays_channels_out_as_pixels_and_back(factor, height, width, channels):
    images = RANDOM.standard_normal((2, height, width, factor**2 * channels)).astype("float32")
    large = nnx.layers.PixelShuffle(factor)(images)
    blocks = images.reshape(2, height, width, factor, factor, channels).transpose(0, 1, 3, 2, 4, 5)
    np.testing.assert_array_equal(large, blocks.reshape(2, height * factor, width * factor, channels))
    np.testing.assert_array_equal(nnx.layers.PixelUnshuffle(factor)(large), images)


@given(size=st.integers(1, 7), strides=st.integers(1, 4), height=st.integers(4, 12), width=st.integers(4, 12))
def test_blurring_is_a_binomial_filter(size, strides, height, width):
    images = RANDOM.standard_normal((1, height, width, 2)).astype("float32")
    weights = np.poly1d([1, 1]) ** (size - 1)
    kernel = np.outer(weights.coef, weights.coef) / weights.coef.sum() ** 2
    pads = ((size - 1) // 2, size // 2)
    padded = np.pad(images, ((0, 0), pads, pads, (0, 0)), mode="reflect")
    blurred = np.stack([scipy.signal.convolve2d(padded[0, ..., c], kernel, "valid") for c in range(2)], -1)
    layer = nnx.layers.BlurPool(size, strides)
    outputs = layer(images)
    np.testing.assert_allclose(outputs[0], blurred[::strides, ::strides], rtol=1e-5, atol=1e-5)
    assert layer.compute_output_shape(images.shape) == tuple(outputs.shape)


def test_blurring_keeps_the_brightness():
    np.testing.assert_allclose(nnx.layers.BlurPool(5)(np.full((1, 9, 9, 3), 0.7, "float32")), 0.7, rtol=1e-6)


def test_filters_are_standardised():
    images = RANDOM.standard_normal((1, 6, 6, 3)).astype("float32")
    layer = nnx.layers.WeightStandardizedConv2D(4, 3)
    layer.build(images.shape)
    kernel, bias = RANDOM.standard_normal((3, 3, 3, 4)) * 5 + 2, RANDOM.standard_normal(4)
    layer.set_weights([kernel, bias])
    standard = (kernel - kernel.mean((0, 1, 2))) / np.sqrt(kernel.var((0, 1, 2)) + 1e-5)
    plain = keras.layers.Conv2D(4, 3)
    plain.build(images.shape)
    plain.set_weights([standard, bias])
    np.testing.assert_allclose(layer(images), plain(images), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("make", "shape", "message"),
    [
        (lambda: nnx.layers.PixelShuffle(0), None, "factor=0"),
        (lambda: nnx.layers.PixelShuffle(2), (1, 4, 4, 6), "multiple of 4"),
        (lambda: nnx.layers.PixelShuffle(2), (1, 4, 4, None), "last axis"),
        (lambda: nnx.layers.PixelUnshuffle(2), (1, 4, 5, 3), "width 5"),
        (lambda: nnx.layers.PixelUnshuffle(2), (1, 4, 5), "b h w c"),
        (lambda: nnx.layers.BlurPool(8), None, "from 1 to 7"),
        (lambda: nnx.layers.BlurPool(5), (1, 2, 9, 3), "height 2"),
        (lambda: nnx.layers.BlurPool(strides=0), None, "strides=0"),
        (lambda: nnx.layers.WeightStandardizedConv2D(4, 3, epsilon=0), None, "epsilon=0"),
    ],
)
def test_what_does_not_fit_is_an_error(make, shape, message):
    with pytest.raises(ValueError, match=message):
        make().compute_output_shape(shape)


@pytest.mark.parametrize(("arguments", "reach"), [({"kernel_size": 9}, 9), ({"kernel_size": 3, "dilation_rate": 4}, 9)])
def test_filters_larger_than_the_image_are_an_error(arguments, reach):
    layer = nnx.layers.WeightStandardizedConv2D(4, **arguments)
    with pytest.raises(ValueError, match=rf"reach over {reach} pixels, but received an image of width 8: use padding"):
        layer.build((None, 9, 8, 3))
    nnx.layers.WeightStandardizedConv2D(4, **arguments, padding="same").build((None, 9, 8, 3))
    nnx.layers.WeightStandardizedConv2D(4, **arguments).build((None, None, None, 3))
