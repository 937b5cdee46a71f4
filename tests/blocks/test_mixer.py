"""Networks over tokens and over features in turns."""

import keras
import numpy as np
import pytest

from keras_nnx.blocks import MixerBlock

TOKENS = np.random.default_rng(0).standard_normal((2, 5, 4)).astype("float32")


def test_the_equation():
    block = MixerBlock(3, 7)
    block.build(TOKENS.shape)
    block.set_weights([value + np.random.default_rng(1).normal(size=value.shape) for value in block.get_weights()])

    def network(x, layer):
        first, first_bias, second, second_bias = layer.get_weights()
        return np.asarray(keras.activations.gelu(x @ first + first_bias)) @ second + second_bias

    def normalise(x, layer):
        gamma, beta = layer.get_weights()
        return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6) * gamma + beta

    x = TOKENS + network(normalise(TOKENS, block.token_norm).swapaxes(1, 2), block.token_network).swapaxes(1, 2)
    x = x + network(normalise(x, block.channel_norm), block.channel_network)
    np.testing.assert_allclose(block(TOKENS), x, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shape", [(None, None, 4), (None, 5, None)])
def test_unknown_sizes_are_refused(shape):
    with pytest.raises(ValueError, match="give the input a fixed length"):
        MixerBlock(3, 7).build(shape)


@pytest.mark.parametrize("name", ["token_dim", "channel_dim", "epsilon"])
def test_what_does_not_fit_is_an_error(name):
    with pytest.raises(ValueError, match=f"{name}=0"):
        MixerBlock(**{"token_dim": 3, "channel_dim": 4, name: 0})
