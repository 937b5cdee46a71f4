"""ConvNeXt blocks, layer by layer."""

import keras
import numpy as np
import pytest

import keras_nnx as nnx
from keras_nnx.blocks import ConvNeXtBlock

IMAGES = np.random.default_rng(0).standard_normal((2, 6, 5, 4)).astype("float32")


def built(**arguments):
    block = ConvNeXtBlock(**arguments)
    block.build(IMAGES.shape)
    random = np.random.default_rng(1)
    block.set_weights([random.normal(size=value.shape) * 0.5 for value in block.get_weights()])
    return block


@pytest.mark.parametrize("second", [False, True])
def test_the_equation(second):
    block = built(kernel_size=3, layer_scale=None if second else 0.1, response_normalization=second)
    weights = {weight.path.split("/", 1)[1]: weight.numpy() for weight in block.weights}
    padded = np.pad(IMAGES, ((0, 0), (1, 1), (1, 1), (0, 0)))
    kernel = weights["depthwise/kernel"][..., 0]
    x = sum(padded[:, i : i + 6, j : j + 5] * kernel[i, j] for i in range(3) for j in range(3))
    x = x + weights["depthwise/bias"]
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6)
    x = x * weights["normalization/gamma"] + weights["normalization/beta"]
    x = np.asarray(keras.activations.gelu(x @ weights["widen/kernel"] + weights["widen/bias"]))
    if second:
        layer = nnx.layers.GlobalResponseNormalization()
        layer.build(x.shape)
        layer.set_weights([weights["response/gamma"], weights["response/beta"]])
        x = layer(x).numpy()
    x = x @ weights["narrow/kernel"] + weights["narrow/bias"]
    x = IMAGES + (x if second else x * weights["scale/gain"])
    np.testing.assert_allclose(block(IMAGES), x, rtol=1e-4, atol=1e-4)


def test_it_starts_as_nearly_the_identity():
    np.testing.assert_allclose(ConvNeXtBlock()(IMAGES), IMAGES, atol=1e-4)


def test_examples_skip_the_branch_in_training_alone():
    block = built(stochastic_depth=0.5, seed=1, layer_scale=0.5)
    many = np.repeat(IMAGES[:1], 64, axis=0)
    skipped = (block(many, training=True).numpy() == many).all((1, 2, 3)).mean()
    assert 0.3 < skipped < 0.7
    assert not (block(many).numpy() == many).all((1, 2, 3)).any()


@pytest.mark.parametrize(
    "arguments", [{"expansion": 0}, {"kernel_size": 0}, {"layer_scale": 0}, {"stochastic_depth": 1}, {"epsilon": 0}]
)
def test_what_does_not_fit_is_an_error(arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        ConvNeXtBlock(**arguments)
