"""The layers that weigh channels and places, against their equations."""

import keras
import numpy as np
import pytest

import keras_nnx as nnx

IMAGES = np.random.default_rng(0).standard_normal((2, 5, 4, 8)).astype("float32")


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def perturbed(layer, inputs=IMAGES):
    """Return the layer, built, with weights that are nothing special."""
    layer.build(inputs.shape)
    random = np.random.default_rng(1)
    layer.set_weights([random.normal(size=value.shape) for value in layer.get_weights()])
    return layer


def test_layer_scale_multiplies_every_feature():
    layer = perturbed(nnx.layers.LayerScale(0.1))
    np.testing.assert_allclose(layer(IMAGES), IMAGES * layer.get_weights()[0], rtol=1e-6)
    assert (nnx.layers.LayerScale(0.25)(np.ones((1, 3), "float32")).numpy() == 0.25).all()


def test_squeeze_excite_equation():
    layer = perturbed(nnx.layers.SqueezeExcite(ratio=0.3))
    first, first_bias, second, second_bias = layer.get_weights()
    assert first.shape == (8, 2)
    means = IMAGES.mean((1, 2))
    gates = sigmoid(np.maximum(means @ first + first_bias, 0) @ second + second_bias)
    np.testing.assert_allclose(layer(IMAGES), IMAGES * gates[:, None, None], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("channels", "size"), [(4, 1), (16, 3), (64, 3), (256, 5), (512, 5), (1024, 5)])
def test_efficient_channel_attention_chooses_its_kernel(channels, size):
    layer = nnx.layers.EfficientChannelAttention()
    layer.build((None, None, None, channels))
    assert layer.get_weights()[0].shape == (size, 1, 1)


def test_efficient_channel_attention_equation():
    layer = perturbed(nnx.layers.EfficientChannelAttention(3))
    kernel = layer.get_weights()[0].ravel()
    means = np.pad(IMAGES.mean((1, 2)), ((0, 0), (1, 1)))
    gates = sigmoid(sum(means[:, k : k + 8] * kernel[k] for k in range(3)))
    np.testing.assert_allclose(layer(IMAGES), IMAGES * gates[:, None, None], rtol=1e-5, atol=1e-6)


def test_convolutional_block_attention_equation():
    layer = perturbed(nnx.layers.ConvolutionalBlockAttention(ratio=0.5, kernel_size=3))
    first, first_bias, second, second_bias, kernel, bias = layer.get_weights()

    def network(x):
        return np.maximum(x @ first + first_bias, 0) @ second + second_bias

    gates = sigmoid(network(IMAGES.mean((1, 2))) + network(IMAGES.max((1, 2))))
    x = IMAGES * gates[:, None, None]
    places = np.pad(np.stack([x.mean(-1), x.max(-1)], -1), ((0, 0), (1, 1), (1, 1), (0, 0)))
    spatial = sum(places[:, i : i + 5, j : j + 4] @ kernel[i, j] for i in range(3) for j in range(3)) + bias
    np.testing.assert_allclose(layer(IMAGES), x * sigmoid(spatial), rtol=1e-5, atol=1e-5)


def test_global_response_normalization_equation():
    layer = perturbed(nnx.layers.GlobalResponseNormalization())
    gamma, beta = layer.get_weights()
    norms = np.sqrt((IMAGES**2).sum((1, 2), keepdims=True))
    expected = gamma * IMAGES * norms / (norms.mean(-1, keepdims=True) + 1e-6) + beta + IMAGES
    np.testing.assert_allclose(layer(IMAGES), expected, rtol=1e-5, atol=1e-5)


def test_global_response_normalization_of_a_dead_image_has_a_gradient():
    import tensorflow as tf

    layer = perturbed(nnx.layers.GlobalResponseNormalization())
    images = tf.zeros((1, 3, 3, 8))
    with tf.GradientTape() as tape:
        tape.watch(images)
        outputs = layer(images)
    assert np.isfinite(tape.gradient(outputs, images)).all()


@pytest.mark.parametrize("layer", [nnx.layers.SqueezeExcite(0.5), nnx.layers.EfficientChannelAttention(3)])
def test_means_of_a_sequence_leave_its_padding_out(layer):
    sequences = IMAGES[:, 0]
    mask = np.array([[True, True, True, False], [True, False, False, False]])
    whole = layer(sequences, mask=keras.ops.convert_to_tensor(mask))
    for index, length in enumerate((3, 1)):
        alone = layer(sequences[index : index + 1, :length])
        np.testing.assert_allclose(whole[index, :length], alone[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("make", "shape", "message"),
    [
        (lambda: nnx.layers.LayerScale(0), None, "initial_value=0"),
        (lambda: nnx.layers.SqueezeExcite(ratio=0), None, r"ratio=0\) needs a number over 0 and at most 1"),
        (lambda: nnx.layers.SqueezeExcite(), (2, 8), "shape"),
        (lambda: nnx.layers.EfficientChannelAttention(4), None, "odd"),
        (lambda: nnx.layers.EfficientChannelAttention(), (None, 3, 3, None), "last axis"),
        (lambda: nnx.layers.ConvolutionalBlockAttention(kernel_size=2), None, "odd"),
        (lambda: nnx.layers.ConvolutionalBlockAttention(), (None, 8, 3), "b h w c"),
        (lambda: nnx.layers.GlobalResponseNormalization(epsilon=0), None, "epsilon=0"),
    ],
)
def test_what_does_not_fit_is_an_error(make, shape, message):
    with pytest.raises(ValueError, match=message):
        make().build(shape)
