"""Bottlenecks against the blocks of keras.applications, and their variants."""

import keras
import numpy as np
import pytest

from keras_nnx.blocks import BottleneckBlock

IMAGES = np.random.default_rng(0).standard_normal((2, 8, 6, 16)).astype("float32")


def stock_model(build):
    image = keras.Input(IMAGES.shape[1:])
    model = keras.Model(image, build(image))
    random = np.random.default_rng(1)
    model.set_weights([random.uniform(0.2, 0.6, value.shape) for value in model.get_weights()])
    return model


def carry(block, stock, names):
    """Give the layers of `block` the weights of layers of `stock`; a bias before a normalisation joins its mean."""
    block.build(IMAGES.shape)
    for own, name in names.items():
        layer, values = getattr(block, own), stock.get_layer(name).get_weights()
        if isinstance(layer, keras.layers.Conv2D) and not layer.use_bias and len(values) > 1:
            normalization = getattr(block, own.replace("convolution", "normalization"))
            gamma, beta, mean, variance = normalization.get_weights()
            normalization.set_weights([gamma, beta, mean - values.pop(), variance])
        layer.set_weights(values)


@pytest.mark.parametrize(("filters", "strides"), [(16, 1), (32, 2), (32, 1)])
def test_the_first_version_of_keras_applications(filters, strides):
    from keras.src.applications import resnet

    projects = filters != 16 or strides > 1
    stock = stock_model(
        lambda x: resnet.residual_block_v1(x, filters // 4, 3, strides, conv_shortcut=projects, name="a")
    )
    block = BottleneckBlock(filters, strides=strides, strides_first=True, epsilon=1.001e-5)
    names = {f"normalization_{number}": f"a_{number}_bn" for number in (1, 2, 3)}
    names |= {f"convolution_{number}": f"a_{number}_conv" for number in (1, 2, 3)}
    if projects:
        names = {"shortcut_normalization": "a_0_bn", **names, "shortcut_convolution": "a_0_conv"}
    carry(block, stock, names)
    np.testing.assert_allclose(block(IMAGES), stock(IMAGES), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("filters", "strides"), [(16, 1), (16, 2), (32, 1)])
def test_the_second_version_of_keras_applications(filters, strides):
    from keras.src.applications import resnet

    stock = stock_model(
        lambda x: resnet.residual_block_v2(x, filters // 4, 3, strides, conv_shortcut=filters != 16, name="a")
    )
    block = BottleneckBlock(filters, strides=strides, order="pre", epsilon=1.001e-5)
    names = {"normalization_0": "a_preact_bn", "normalization_1": "a_1_bn", "normalization_2": "a_2_bn"}
    names |= {f"convolution_{number}": f"a_{number}_conv" for number in (1, 2, 3)}
    if filters != 16:
        names["shortcut_convolution"] = "a_0_conv"
    carry(block, stock, names)
    np.testing.assert_allclose(block(IMAGES), stock(IMAGES), rtol=1e-4, atol=1e-4)


def test_groups_and_widths_of_resnext():
    block = BottleneckBlock(256, inner_filters=128, groups=32)
    block.build((None, None, None, 256))
    assert [block.convolution_1.kernel.shape, block.convolution_2.kernel.shape] == [(1, 1, 256, 128), (3, 3, 4, 128)]


def test_an_average_sees_every_pixel():
    def seen(shortcut):
        block = BottleneckBlock(8, strides=2, shortcut=shortcut)
        block.build((1, 4, 4, 3))
        for step in block.branch:
            if isinstance(step, keras.layers.BatchNormalization):
                step.gamma.assign(np.zeros(step.gamma.shape))
        base = block(np.ones((1, 4, 4, 3), "float32"))
        changed = np.ones((1, 4, 4, 3), "float32")
        changed[0, 1, 1] = 9
        return np.abs(block(changed) - base).max() > 1e-4

    assert seen("average")
    assert not seen("projection")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"filters": 0}, "filters=0"),
        ({"groups": 3}, r"groups=3\) cannot split 2 inner channels evenly"),
        ({"inner_filters": 0}, "inner_filters=0"),
        ({"order": "middle"}, "'post', 'pre'"),
        ({"shortcut": "none"}, "'projection', 'average'"),
        ({"squeeze": 0}, "squeeze=0"),
    ],
)
def test_what_does_not_fit_is_an_error(arguments, message):
    with pytest.raises(ValueError, match=message):
        BottleneckBlock(**{"filters": 8, **arguments})
