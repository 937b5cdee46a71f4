"""Attention in chunks computes what plain attention does, gradients included."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from keras_nnx.layers import MultiHeadAttention

RANDOM = np.random.default_rng(0)
LENGTH, DIM = 11, 8
PADDINGS = {
    "none": None,
    "behind": np.arange(LENGTH)[None] < np.array([[LENGTH], [4]]),
    "in front": np.arange(LENGTH)[None] >= np.array([[0], [6]]),
    "holes": RANDOM.random((2, LENGTH)) < 0.5,
    "all of one": np.stack([np.ones(LENGTH, bool), np.zeros(LENGTH, bool)]),
}
SIGHTS = [{"causal": causal, "window": window} for causal, window in itertools.product((False, True), (None, 1, 3))]


def pair(chunk, **options):
    """A plain layer and one in chunks, of the same weights."""
    layers = [MultiHeadAttention(4, chunk_size=size, **options) for size in (None, chunk)]
    for layer in layers:
        layer.build((None, None, DIM))
    weights = [RANDOM.standard_normal(weight.shape) * 0.5 for weight in layers[0].get_weights()]
    for layer in layers:
        layer.set_weights(weights)
    return layers


def answer_and_gradients(layer, inputs, mask, compiled=False):
    upstream = np.random.default_rng(1).standard_normal(inputs.shape).astype("float32")

    def run(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs = layer(x, mask=mask)
            loss = tf.reduce_sum(outputs * upstream)
        return outputs, tape.gradient(loss, [x, *(weight.value for weight in layer.trainable_weights)])

    call = tf.function(run, jit_compile=True) if compiled else run
    outputs, gradients = call(tf.convert_to_tensor(inputs))
    return [outputs.numpy(), *(gradient.numpy() for gradient in gradients)]


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("sight", SIGHTS, ids=str)
def test_whoever_is_hidden_from_whom(padding, sight):
    plain, chunked = pair(4, **sight)
    inputs = RANDOM.standard_normal((2, LENGTH, DIM)).astype("float32")
    mask = PADDINGS[padding]
    expected = answer_and_gradients(plain, inputs, mask)
    for first, second in zip(answer_and_gradients(chunked, inputs, mask), expected, strict=True):
        np.testing.assert_allclose(first, second, rtol=1e-4, atol=1e-5 * max(1, np.abs(second).max()))


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("chunk", [1, 3, 11, 64])
def test_whatever_the_chunks(chunk, compiled):
    plain, chunked = pair(chunk, causal=True, num_key_value_heads=2, rotary={}, query_key_norm=True)
    inputs = RANDOM.standard_normal((2, LENGTH, DIM)).astype("float32")
    mask = PADDINGS["behind"]
    expected = answer_and_gradients(plain, inputs, mask, compiled)
    for first, second in zip(answer_and_gradients(chunked, inputs, mask, compiled), expected, strict=True):
        np.testing.assert_allclose(first, second, rtol=1e-4, atol=1e-5 * max(1, np.abs(second).max()))
