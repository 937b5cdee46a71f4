"""The two halves of a U-Net."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_nnx.blocks import UNetDecoderBlock, UNetEncoderBlock
from keras_nnx.blocks.unet import doubled

RANDOM = np.random.default_rng(0)


def stacked(block):
    """The convolutions of a block as a model of stock layers, with the same weights."""
    layers = [type(step).from_config(step.get_config()) for step in block.steps]
    model = keras.Sequential(layers)
    model.build((None, None, None, block.convolution_1.kernel.shape[2]))
    model.set_weights([weight.numpy() for step in block.steps for weight in step.weights])
    return model


def perturbed(block, *shapes):
    block.build(*shapes)
    block.set_weights([value + RANDOM.uniform(0, 0.3, value.shape) for value in block.get_weights()])
    return block


def test_the_encoder_takes_maxima_first():
    images = RANDOM.standard_normal((2, 6, 8, 3)).astype("float32")
    block = perturbed(UNetEncoderBlock(4), images.shape)
    maxima = images.reshape(2, 3, 2, 4, 2, 3).max((2, 4))
    np.testing.assert_allclose(block(images), stacked(block)(maxima), rtol=1e-5, atol=1e-5)
    whole = perturbed(UNetEncoderBlock(4, halve=False), images.shape)
    np.testing.assert_allclose(whole(images), stacked(whole)(images), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
def test_doubling_has_a_gradient_where_it_is_compiled(interpolation):
    @tf.function(jit_compile=True)
    def gradient(images):
        return tf.gradients(tf.reduce_sum(doubled(images, interpolation)), images)[0]

    images = RANDOM.standard_normal((2, 3, 4, 1)).astype("float32")
    np.testing.assert_allclose(gradient(images), np.full(images.shape, 4), rtol=1e-5)


@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
@pytest.mark.parametrize("sides", [(8, 6), (7, 5)])
def test_the_decoder_doubles_and_puts_the_skip_beside(sides, interpolation):
    small = RANDOM.standard_normal((2, 4, 3, 5)).astype("float32")
    skip = RANDOM.standard_normal((2, *sides, 3)).astype("float32")
    block = perturbed(UNetDecoderBlock(4, interpolation=interpolation), small.shape, skip.shape)
    large = tf.image.resize(small, (8, 6), interpolation)[:, : sides[0], : sides[1]]
    expected = stacked(block)(np.concatenate([large, skip], -1))
    np.testing.assert_allclose(block(small, skip), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
@pytest.mark.parametrize("sides", [(1, 1), (1, 4), (5, 3)])
def test_unknown_sides_double_alike(sides, interpolation):
    images = RANDOM.standard_normal((2, *sides, 3)).astype("float32")
    traced = tf.function(lambda x: doubled(x, interpolation), input_signature=[tf.TensorSpec((None, None, None, 3))])
    expected = tf.image.resize(images, [2 * side for side in sides], interpolation)
    np.testing.assert_allclose(traced(images), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("make", "shapes", "message"),
    [
        (lambda: UNetEncoderBlock(0), (), "filters=0"),
        (lambda: UNetEncoderBlock(4, kernel_size=2), (), "odd"),
        (lambda: UNetDecoderBlock(4, interpolation="cubic"), (), "'bilinear', 'nearest'"),
        (lambda: UNetDecoderBlock(4), ((1, 4, 4, 3), (1, 9, 8, 3)), "doubles the height 4 and received a skip of 9"),
        (lambda: UNetDecoderBlock(4), ((1, 4, 4), (1, 8, 8, 3)), "b h w c"),
    ],
)
def test_what_does_not_fit_is_an_error(make, shapes, message):
    with pytest.raises(ValueError, match=message):
        make().build(*shapes)
