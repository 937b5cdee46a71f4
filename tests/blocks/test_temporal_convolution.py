"""Dilated convolutions over time: causality, reach and padding."""

import keras
import numpy as np
import pytest

from keras_nnx.blocks import TemporalConvolutionBlock

RANDOM = np.random.default_rng(0)
STEPS = RANDOM.standard_normal((2, 12, 3)).astype("float32")


def convolve(x, kernel, bias, dilation):
    """A causal convolution, step by step."""
    reach = (len(kernel) - 1) * dilation
    padded = np.pad(x, ((0, 0), (reach, 0), (0, 0)))
    return sum(padded[:, k * dilation : k * dilation + x.shape[1]] @ kernel[k] for k in range(len(kernel))) + bias


def test_the_equation():
    block = TemporalConvolutionBlock(4, dilation=2, epsilon=None)
    block.build(STEPS.shape)
    block.set_weights([value + RANDOM.uniform(-0.3, 0.3, value.shape) for value in block.get_weights()])
    x = STEPS
    for layer in block.convolutions:
        x = np.maximum(convolve(x, *layer.get_weights(), 2), 0)
    kernel, bias = block.shortcut.get_weights()
    np.testing.assert_allclose(block(STEPS), np.maximum(x + STEPS @ kernel + bias, 0), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("dilation", "size"), [(1, 3), (2, 3), (3, 2)])
def test_a_step_sees_as_far_back_as_it_says_and_no_later_one(dilation, size):
    block = TemporalConvolutionBlock(4, size, dilation, activation="tanh", epsilon=None)
    changed = STEPS.copy()
    changed[:, 5] += 1
    moved = np.abs(block(changed) - block(STEPS)).max((0, 2)) > 1e-6
    reach = 2 * (size - 1) * dilation
    seen = [step for step in range(12) if step in range(5, 5 + reach + 1, dilation)]
    assert np.flatnonzero(moved).tolist() == seen


@pytest.mark.parametrize("causal", [True, False])
def test_padding_is_as_if_it_were_not_there(causal):
    block = TemporalConvolutionBlock(4, 3, 2, causal=causal)
    mask = np.arange(12)[None] < np.array([[12], [7]])
    whole = block(STEPS, mask=keras.ops.convert_to_tensor(mask))
    np.testing.assert_allclose(whole[1, :7], block(STEPS[1:, :7])[0], rtol=1e-4, atol=1e-5)
    assert (whole[1, 7:].numpy() == 0).all()


@pytest.mark.parametrize("name", ["filters", "kernel_size", "dilation", "epsilon"])
def test_what_does_not_fit_is_an_error(name):
    with pytest.raises(ValueError, match=f"{name}=0"):
        TemporalConvolutionBlock(**{"filters": 4, name: 0})
