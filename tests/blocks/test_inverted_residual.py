"""Inverted residual blocks against the layers of keras.applications, and their variants."""

import keras
import numpy as np
import pytest

from keras_nnx.blocks import InvertedResidualBlock

IMAGES = np.random.default_rng(0).standard_normal((2, 6, 8, 16)).astype("float32")


@pytest.mark.parametrize(
    ("filters", "expansion", "size", "strides"), [(16, 6, 3, 1), (24, 4, 5, 2), (16, 1, 3, 1), (8, 6, 5, 1)]
)
def test_keras_applications_computes_the_same(filters, expansion, size, strides):
    from keras.src.applications import efficientnet

    image = keras.Input(IMAGES.shape[1:])
    outputs = efficientnet.block(image, "swish", 0.0, "a_", 16, filters, size, strides, expansion, 0.25, id_skip=True)
    stock = keras.Model(image, outputs)
    random = np.random.default_rng(1)
    stock.set_weights([random.uniform(0.2, 1, value.shape) for value in stock.get_weights()])
    block = InvertedResidualBlock(filters, expansion, size, strides)
    block.build(IMAGES.shape)
    values = stock.get_weights()
    shapes = [weight.shape for weight in block.weights]
    # The applications squeeze by convolutions over one pixel, and list moving statistics behind all other weights.
    ours = [value.reshape(shape) for value, shape in zip(in_order(stock), shapes, strict=True)]
    assert len(ours) == len(values)
    block.set_weights(ours)
    np.testing.assert_allclose(block(IMAGES), stock(IMAGES), rtol=1e-4, atol=1e-4)


def in_order(model):
    """The weights of a functional model, layer by layer as they are called."""
    layers = [layer for layer in model.layers if layer.weights]
    return [weight.numpy() for layer in layers for weight in layer.weights]


def test_a_fused_block_has_one_whole_convolution():
    block = InvertedResidualBlock(16, 4, fused=True, squeeze=None)
    block.build(IMAGES.shape)
    convolutions = [layer for layer in block.steps if isinstance(layer, keras.layers.Conv2D)]
    assert [layer.kernel.shape for layer in convolutions] == [(3, 3, 16, 64), (1, 1, 64, 16)]
    alone = InvertedResidualBlock(16, 1, fused=True, squeeze=None)
    alone.build(IMAGES.shape)
    assert [layer.kernel.shape for layer in alone.steps if isinstance(layer, keras.layers.Conv2D)] == [(3, 3, 16, 16)]
    assert isinstance(alone.steps[-1], keras.layers.Activation)


@pytest.mark.parametrize(("arguments", "adds"), [({"filters": 16}, True), ({"filters": 8}, False)])
def test_the_input_is_added_where_it_fits(arguments, adds):
    block = InvertedResidualBlock(**arguments, squeeze=None)
    block.build(IMAGES.shape)
    block.steps[-1].gamma.assign(np.zeros(arguments["filters"]))
    np.testing.assert_allclose(block(IMAGES), IMAGES if adds else np.zeros((2, 6, 8, 8)), atol=1e-6)


@pytest.mark.parametrize(
    "arguments", [{"filters": 0}, {"expansion": 0}, {"strides": 0}, {"squeeze": 2}, {"momentum": 1}, {"epsilon": 0}]
)
def test_what_does_not_fit_is_an_error(arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        InvertedResidualBlock(**{"filters": 4, **arguments})
