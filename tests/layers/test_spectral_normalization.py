"""Kernels divided by their largest singular value."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_nnx.layers import SpectralNormalization

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.standard_normal((2, 6, 6, 3)).astype("float32")
VECTORS = RANDOM.standard_normal((4, 5)).astype("float32")


def converged(layer, inputs, calls=60):
    """A layer whose estimate has come to its end."""
    for _ in range(calls):
        layer(inputs, training=True)
    return layer


@pytest.mark.parametrize(
    ("inner", "inputs", "matrix"),
    [
        (lambda: keras.layers.Dense(3, activation="tanh"), VECTORS, lambda kernel: kernel),
        (
            lambda: keras.layers.Conv2D(4, 3, strides=2, activation="relu"),
            IMAGES,
            lambda kernel: kernel.reshape(-1, 4),
        ),
        (
            lambda: keras.layers.Conv2DTranspose(4, 2),
            IMAGES,
            lambda kernel: kernel.transpose(0, 1, 3, 2).reshape(-1, 4),
        ),
    ],
)
def test_a_layer_computes_with_the_divided_kernel(inner, inputs, matrix):
    layer = converged(SpectralNormalization(inner(), power_iterations=2), inputs)
    kernel, bias = layer.layer.get_weights()
    layer.layer.set_weights([kernel, bias + 0.5])
    largest = np.linalg.svd(matrix(kernel), compute_uv=False)[0]
    plain = inner()
    plain.build(inputs.shape)
    plain.set_weights([kernel / largest, bias + 0.5])
    np.testing.assert_allclose(layer(inputs), plain(inputs), rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(layer.layer.kernel, kernel)


def test_embeddings_are_divided_and_stay_numbers():
    layer = SpectralNormalization(keras.layers.Embedding(6, 4))
    numbers = np.arange(6)
    converged(layer, numbers)
    vectors = layer.layer.embeddings.numpy()
    outputs = layer(numbers)
    assert outputs.dtype == "float32"
    np.testing.assert_allclose(outputs, vectors / np.linalg.svd(vectors, compute_uv=False)[0], rtol=1e-3, atol=1e-4)


def test_one_iteration_is_that_of_the_paper():
    layer = SpectralNormalization(keras.layers.Dense(3, use_bias=False))
    layer.build(VECTORS.shape)
    kernel, start = layer.layer.kernel.numpy(), layer.vector.numpy()[0]
    left = kernel @ start / np.linalg.norm(kernel @ start)
    right = kernel.T @ left / np.linalg.norm(kernel.T @ left)
    layer(VECTORS, training=True)
    np.testing.assert_allclose(layer.vector[0], right, rtol=1e-5, atol=1e-6)


def test_inference_and_a_frozen_layer_improve_nothing():
    layer = SpectralNormalization(keras.layers.Dense(3))
    layer(VECTORS)
    before = layer.vector.numpy()
    layer(VECTORS, training=False)
    layer.trainable = False
    layer(VECTORS, training=True)
    np.testing.assert_array_equal(layer.vector, before)


def test_the_gradient_goes_through_the_norm():
    layer = converged(SpectralNormalization(keras.layers.Dense(3, use_bias=False)), VECTORS)
    kernel = layer.layer.kernel
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(layer(VECTORS) ** 2)
    gradient = tape.gradient(total, kernel.value).numpy()
    # What is divided by its own norm does not change when it is scaled.
    assert abs((gradient * kernel.numpy()).sum()) < 1e-4 * np.abs(gradient).max()
    left, values, right = np.linalg.svd(kernel.numpy())
    outputs = VECTORS @ kernel.numpy() / values[0]
    plain = VECTORS.T @ (2 * outputs) / values[0]
    expected = plain - (plain * kernel.numpy()).sum() / values[0] * np.outer(left[:, 0], right[0])
    np.testing.assert_allclose(gradient, expected, rtol=1e-3, atol=1e-3)


def test_a_kernel_of_zeros_answers_with_the_bias():
    layer = SpectralNormalization(keras.layers.Dense(3, kernel_initializer="zeros", bias_initializer="ones"))
    for training in (True, False):
        np.testing.assert_array_equal(layer(VECTORS, training=training), np.ones((4, 3)))


def test_training_in_half_precision_keeps_the_kernel_exact():
    layer = SpectralNormalization(keras.layers.Dense(3, dtype="mixed_float16"), dtype="mixed_float16")
    layer.build(VECTORS.shape)
    before = layer.layer.kernel.numpy()
    layer(VECTORS, training=True)
    np.testing.assert_array_equal(layer.layer.kernel, before)


def test_what_has_no_kernel_is_refused():
    with pytest.raises(ValueError, match=r"layer=ReLU\) has neither a kernel nor embeddings"):
        SpectralNormalization(keras.layers.ReLU())(VECTORS)


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match=r"power_iterations=0\) needs an integer of at least 1"):
        SpectralNormalization(keras.layers.Dense(3), power_iterations=0)
