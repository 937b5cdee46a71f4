"""Pictures cut into tokens."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_nnx.layers import PatchEmbedding

sizes = st.integers(1, 3)


def patches(images, height, width):
    """The patches of `images`, row by row, each flattened."""
    rows = [
        images[:, top : top + height, left : left + width].reshape(len(images), -1)
        for top in range(0, images.shape[1], height)
        for left in range(0, images.shape[2], width)
    ]
    return np.stack(rows, axis=1)


@given(patch=st.tuples(sizes, sizes), grid=st.tuples(sizes, sizes), channels=sizes, dim=sizes)
def test_tokens_are_projected_patches_row_by_row(patch, grid, channels, dim):
    shape = (2, patch[0] * grid[0], patch[1] * grid[1], channels)
    images = np.random.default_rng(0).standard_normal(shape).astype("float32")
    layer = PatchEmbedding(dim, patch)
    tokens = layer(images)
    kernel, bias = layer.get_weights()
    expected = patches(images, *patch) @ kernel.reshape(-1, dim) + bias
    assert tokens.shape == (2, grid[0] * grid[1], dim) == layer.compute_output_shape(shape)
    np.testing.assert_allclose(tokens, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_overlapping_patches_of_any_number_of_axes(axes):
    inputs = np.random.default_rng(0).standard_normal((2, *(7, 5, 6)[:axes], 3)).astype("float32")
    layer = PatchEmbedding(4, 3, strides=1)
    tokens = layer(inputs)
    kernel, bias = layer.get_weights()
    windows = np.lib.stride_tricks.sliding_window_view(inputs, (3,) * axes, tuple(range(1, axes + 1)))
    windows = np.moveaxis(windows, axes + 1, -1)
    expected = windows.reshape(2, -1, 3**axes * 3) @ kernel.reshape(-1, 4) + bias
    assert tokens.shape == expected.shape == layer.compute_output_shape(inputs.shape)
    np.testing.assert_allclose(tokens, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("side", "stride", "count"), [(7, 2, 4), (8, 2, 4), (1, 4, 1), (9, 4, 3)])
def test_padding_takes_any_size(side, stride, count):
    layer = PatchEmbedding(4, 3, strides=stride, padding="same")
    inputs = np.ones((1, side, 2), "float32")
    assert layer(inputs).shape == (1, count, 4) == layer.compute_output_shape(inputs.shape)


def test_sizes_of_another_number_of_axes_are_refused():
    with pytest.raises(ValueError, match=r"patch_size=\(2, 2\)\) has 2 sizes.*1 axes"):
        PatchEmbedding(4, (2, 2))(keras.Input((8, 3)))
    with pytest.raises(ValueError, match="cannot cut an input of height 2"):
        PatchEmbedding(4, 3)(keras.Input((2, 6, 3)))


def test_one_integer_stands_for_both_sides():
    square, pair = PatchEmbedding(3, 2), PatchEmbedding(3, [2, 2])
    images = np.random.default_rng(0).standard_normal((1, 4, 4, 1)).astype("float32")
    pair.build(images.shape)
    square.build(images.shape)
    pair.set_weights(square.get_weights())
    np.testing.assert_array_equal(pair(images), square(images))


def test_channels_are_last_whatever_the_configuration_says(monkeypatch):
    monkeypatch.setattr(keras.src.backend.config, "_IMAGE_DATA_FORMAT", "channels_first")
    assert keras.config.image_data_format() == "channels_first"
    assert PatchEmbedding(3, 2)(np.zeros((1, 8, 4, 5), "float32")).shape == (1, 8, 3)


@pytest.mark.parametrize("shape", [(None, None, 4, 3), (None, 4, None, 3), (None, None, None, 3)])
def test_an_unknown_side_leaves_the_length_unknown(shape):
    assert PatchEmbedding(5, 2).compute_output_shape(shape) == (None, None, 5)


@pytest.mark.parametrize(("height", "width", "axis", "side"), [(5, 4, "height", 5), (None, 7, "width", 7)])
def test_images_that_cannot_be_cut_are_refused(height, width, axis, side):
    with pytest.raises(ValueError, match=rf"\(patch_size=2\) cannot cut an input of {axis} {side} into whole patches"):
        PatchEmbedding(5, 2)(keras.Input((height, width, 3)))


def test_a_later_image_that_cannot_be_cut_is_refused():
    layer = PatchEmbedding(5, 2)
    layer(keras.Input((None, None, 3)))
    with pytest.raises(ValueError, match="cannot cut an input of width 5"):
        layer(np.zeros((1, 4, 5, 3), "float32"))


@pytest.mark.parametrize("dim", [0, 2.0, False])
def test_a_token_size_that_is_none_is_refused(dim):
    with pytest.raises(ValueError, match=r"PatchEmbedding\(dim=.*\) needs an integer of at least 1"):
        PatchEmbedding(dim, 2)


@pytest.mark.parametrize("patch_size", [(), (2, 2, 2, 2), "2", 2.0, None])
def test_a_patch_that_has_no_sizes_is_refused(patch_size):
    with pytest.raises(ValueError, match=r"PatchEmbedding\(patch_size=.*\) needs one integer, or one for each axis"):
        PatchEmbedding(4, patch_size)


@pytest.mark.parametrize("patch_size", [0, (2, 0), (2, 1.5), True])
def test_a_patch_without_pixels_is_refused(patch_size):
    with pytest.raises(ValueError, match=r"PatchEmbedding\(patch_size=.*\) needs an integer of at least 1"):
        PatchEmbedding(4, patch_size)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((4,), r"PatchEmbedding expects inputs of shape \(b, t, c\), .* but received \(None, 4\)"),
        ((4, 4, None), r"PatchEmbedding needs to know .* received .*\(None, 4, 4, None\)"),
    ],
)
def test_inputs_that_are_no_images_are_refused(shape, message):
    with pytest.raises(ValueError, match=message):
        PatchEmbedding(4, 2)(keras.Input(shape))
