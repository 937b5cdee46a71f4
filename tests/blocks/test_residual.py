"""Two convolutions and a sum."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_nnx.blocks import ResidualBlock

EPSILON = 1e-3
"""Of the normalisations, as Keras has it by default."""


def convolve(images, kernel, strides):
    """Convolution with as many zeros on each side as half the kernel."""
    padding = [(0, 0), *((extent // 2, extent // 2) for extent in kernel.shape[:2])]
    padded = np.pad(images, [*padding, (0, 0)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel.shape[:2], axis=(1, 2))
    return np.einsum("bhwcxy,xycf->bhwf", windows[:, ::strides, ::strides], kernel)


def normalise(images, gamma, beta, mean, variance):
    return (images - mean) / np.sqrt(variance + EPSILON) * gamma + beta


def reference(block, images):
    """The block at inference, in numpy."""

    def step(values, convolution, normalization, strides):
        return normalise(convolve(values, *convolution.get_weights(), strides), *normalization.get_weights())

    branch = np.maximum(step(images, block.convolution_1, block.normalization_1, block.strides), 0)
    branch = step(branch, block.convolution_2, block.normalization_2, 1)
    if block.strides > 1 or images.shape[-1] != block.filters:
        images = step(images, block.shortcut_convolution, block.shortcut_normalization, block.strides)
    return np.maximum(branch + images, 0)


@pytest.mark.parametrize("arguments", [{"filters": 3}, {"filters": 4}, {"filters": 3, "strides": 2, "kernel_size": 5}])
def test_the_equation_with_moving_statistics(arguments):
    block = ResidualBlock(**arguments)
    images = np.random.default_rng(0).standard_normal((2, 7, 6, 3)).astype("float32")
    block.build(images.shape)
    random = np.random.default_rng(1)
    block.set_weights([value + random.uniform(-0.3, 0.3, value.shape) for value in block.get_weights()])
    np.testing.assert_allclose(block(images), reference(block, images), rtol=1e-4, atol=1e-5)


def test_moving_statistics_move_in_training_alone():
    block = ResidualBlock(3, momentum=0.75)
    images = np.random.default_rng(0).standard_normal((4, 6, 6, 3)).astype("float32")
    block(images, training=False)
    np.testing.assert_array_equal(block.normalization_1.moving_mean, 0)
    block(images, training=True)
    first = convolve(images, *block.convolution_1.get_weights(), 1)
    expected = 0.25 * first.mean(axis=(0, 1, 2))
    np.testing.assert_allclose(block.normalization_1.moving_mean, expected, rtol=1e-4, atol=1e-6)


@given(
    sides=st.tuples(st.integers(1, 9), st.integers(1, 9)), strides=st.integers(1, 3), channels=st.sampled_from([2, 3])
)
def test_sides_are_divided_and_rounded_up(sides, strides, channels):
    block = ResidualBlock(2, strides=strides)
    outputs = block(np.zeros((1, *sides, channels), "float32"))
    assert outputs.shape == (1, -(-sides[0] // strides), -(-sides[1] // strides), 2)
    assert block.projects == (strides > 1 or channels != 2)


def test_channels_are_last_whatever_the_configuration_says(monkeypatch):
    monkeypatch.setattr(keras.src.backend.config, "_IMAGE_DATA_FORMAT", "channels_first")
    assert ResidualBlock(4, strides=2)(np.zeros((1, 8, 4, 3), "float32")).shape == (1, 4, 2, 4)


@pytest.mark.parametrize("name", ["filters", "kernel_size", "strides"])
@pytest.mark.parametrize("value", [0, 1.5, (3, 3)])
def test_sizes_that_are_no_positive_integers_are_refused(name, value):
    arguments = {"filters": 4, name: value}
    with pytest.raises(ValueError, match=rf"ResidualBlock\({name}=.*\) needs an integer of at least 1"):
        ResidualBlock(**arguments)


@pytest.mark.parametrize("momentum", [1, -0.1])
def test_a_momentum_out_of_range_is_refused(momentum):
    with pytest.raises(ValueError, match=r"ResidualBlock\(momentum=.*\) needs a number of at least 0 and under 1"):
        ResidualBlock(4, momentum=momentum)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((4, 4), r"ResidualBlock expects inputs of shape \(b h w c\), but received \(None, 4, 4\)"),
        ((4, 4, None), r"ResidualBlock needs to know .* received .*\(None, 4, 4, None\)"),
    ],
)
def test_inputs_that_are_no_images_are_refused(shape, message):
    with pytest.raises(ValueError, match=message):
        ResidualBlock(4)(keras.Input(shape))
