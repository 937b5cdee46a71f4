"""Blocks of generators and discriminators against stacks of stock layers."""

import keras
import numpy as np
import pytest

from keras_nnx.blocks import (
    DiscriminatorResidualBlock,
    GeneratorResidualBlock,
    StridedConvolutionBlock,
    TransposedConvolutionBlock,
)

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.standard_normal((2, 6, 4, 3)).astype("float32")
LABELS = np.array([2, 0], "int32")


def built(block, *shapes):
    block.build(*shapes)
    block.set_weights([value + RANDOM.uniform(0.1, 0.5, value.shape) for value in block.get_weights()])
    return block


def normalized(x, layer, epsilon=1e-3):
    gamma, beta, mean, variance = layer.get_weights()
    return (x - mean) / np.sqrt(variance + epsilon) * gamma + beta


def convolved(x, layer):
    kernel, bias = layer.kernel.numpy(), layer.bias.numpy() if layer.use_bias else 0
    return np.asarray(keras.ops.conv(x, kernel, padding="same", data_format="channels_last")) + bias


def averaged(x):
    return x.reshape(x.shape[0], x.shape[1] // 2, 2, x.shape[2] // 2, 2, -1).mean(axis=(2, 4))


def doubled(x):
    return x.repeat(2, axis=1).repeat(2, axis=2)


def relu(x):
    return np.maximum(x, 0)


def test_a_strided_convolution():
    block = built(StridedConvolutionBlock(4), IMAGES.shape)
    kernel = block.convolution.kernel.numpy()
    padded = np.pad(IMAGES, ((0, 0), (1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (4, 4), axis=(1, 2))[:, ::2, ::2]
    x = normalized(np.einsum("bhwcij,ijcd->bhwd", windows, kernel), block.normalization_1)
    np.testing.assert_allclose(block(IMAGES), np.where(x > 0, x, 0.2 * x), rtol=1e-4, atol=1e-4)


def test_a_transposed_convolution_is_the_gradient_of_a_strided_one():
    block = built(TransposedConvolutionBlock(4, normalization=None, activation=None), IMAGES.shape)
    kernel, bias = block.convolution.get_weights()
    expected = np.zeros((2, 14, 10, 4), "float32")
    for row in range(6):
        for column in range(4):
            spread = np.einsum("bc,ijdc->bijd", IMAGES[:, row, column], kernel)
            expected[:, 2 * row : 2 * row + 4, 2 * column : 2 * column + 4] += spread
    np.testing.assert_allclose(block(IMAGES), expected[:, 1:-1, 1:-1] + bias, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("block", [StridedConvolutionBlock, TransposedConvolutionBlock])
def test_a_bias_is_where_nothing_normalises_over_the_batch(block):
    def weights(normalization):
        layer = block(4, normalization=normalization)
        layer.build(IMAGES.shape)
        return sorted(weight.path.rpartition("/")[2] for weight in layer.weights)

    assert weights("batch") == ["beta", "gamma", "kernel", "moving_mean", "moving_variance"]
    assert weights("spectral") == ["bias", "kernel", "vector"]
    assert weights(None) == ["bias", "kernel"]


@pytest.mark.parametrize(("upsample", "filters"), [(True, 3), (False, 3), (False, 5), (True, 5)])
def test_the_equation_of_a_generator_block(upsample, filters):
    block = built(GeneratorResidualBlock(filters, upsample), IMAGES.shape)
    larger = doubled if upsample else np.asarray
    x = convolved(larger(relu(normalized(IMAGES, block.normalization_1))), block.convolution_1)
    x = convolved(relu(normalized(x, block.normalization_2)), block.convolution_2)
    past = larger(IMAGES)
    if upsample or filters != 3:
        past = convolved(past, block.shortcut)
    np.testing.assert_allclose(block(IMAGES), x + past, rtol=1e-3, atol=1e-3)


def test_each_class_has_scales_of_its_own():
    block = built(GeneratorResidualBlock(4, num_classes=3), IMAGES.shape, LABELS.shape)
    outputs = np.asarray(block(IMAGES, LABELS))
    for index, label in enumerate(LABELS):
        alone = block(IMAGES, np.full(2, label))
        np.testing.assert_allclose(outputs[index], alone[index], rtol=1e-4, atol=1e-4)
    assert np.abs(outputs - np.asarray(block(IMAGES, LABELS[::-1]))).max() > 1e-3


@pytest.mark.parametrize("position", ["first", "inner"])
@pytest.mark.parametrize(("downsample", "filters"), [(True, 3), (False, 3), (False, 5), (True, 5)])
def test_the_equation_of_a_discriminator_block(position, downsample, filters):
    block = built(DiscriminatorResidualBlock(filters, downsample, position=position, normalization=None), IMAGES.shape)
    smaller = averaged if downsample else np.asarray
    x = convolved(IMAGES if position == "first" else relu(IMAGES), block.convolution_1)
    x = smaller(convolved(relu(x), block.convolution_2))
    past = smaller(IMAGES)
    if position == "first" or downsample or filters != 3:  # averages and convolutions of one pixel change places
        past = convolved(past, block.shortcut)
    np.testing.assert_allclose(block(IMAGES), x + past, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("block", "arguments", "inputs", "message"),
    [
        *(
            (block, arguments, [IMAGES], message)
            for block in (StridedConvolutionBlock, TransposedConvolutionBlock)
            for arguments, message in (
                ({"filters": 0}, r"filters=0\) needs an integer of at least 1"),
                ({"kernel_size": 0}, r"kernel_size=0\) needs an integer of at least 1"),
                ({"strides": 0}, r"strides=0\) needs an integer of at least 1"),
                ({"normalization": "group"}, "'group'.*choose one of 'batch', 'spectral', None"),
                ({"momentum": 1}, r"momentum=1\) needs a number"),
                ({"epsilon": 0}, r"epsilon=0\) needs a number over 0"),
            )
        ),
        (StridedConvolutionBlock, {}, [IMAGES[0]], r"expects inputs of shape \(b h w c\)"),
        (GeneratorResidualBlock, {"filters": 0}, [IMAGES], r"filters=0\) needs an integer of at least 1"),
        (GeneratorResidualBlock, {"num_classes": 0}, [IMAGES], r"num_classes=0\) needs an integer of at least 1"),
        (GeneratorResidualBlock, {"kernel_size": 0}, [IMAGES], r"kernel_size=0\) needs an integer of at least 1"),
        (GeneratorResidualBlock, {"momentum": 1}, [IMAGES], r"momentum=1\) needs a number"),
        (GeneratorResidualBlock, {"epsilon": 0}, [IMAGES], r"epsilon=0\) needs a number over 0"),
        (GeneratorResidualBlock, {"num_classes": 3}, [IMAGES], r"num_classes=3\) received no labels"),
        (GeneratorResidualBlock, {}, [IMAGES, LABELS], r"num_classes=None\) received labels of shape \(2,\)"),
        (GeneratorResidualBlock, {}, [IMAGES[0]], r"expects inputs of shape \(b h w c\)"),
        (DiscriminatorResidualBlock, {"filters": 0}, [IMAGES], r"filters=0\) needs an integer of at least 1"),
        (DiscriminatorResidualBlock, {"kernel_size": 0}, [IMAGES], r"kernel_size=0\) needs an integer of at least 1"),
        (DiscriminatorResidualBlock, {"position": "last"}, [IMAGES], "'last'.*choose one of 'first', 'inner'"),
        (DiscriminatorResidualBlock, {"normalization": "batch"}, [IMAGES], "'batch'.*choose one of 'spectral', None"),
        (DiscriminatorResidualBlock, {}, [IMAGES[0]], r"expects inputs of shape \(b h w c\)"),
    ],
)
def test_what_does_not_fit_is_refused(block, arguments, inputs, message):
    with pytest.raises(ValueError, match=message):
        block(**{"filters": 4, **arguments})(*inputs)
