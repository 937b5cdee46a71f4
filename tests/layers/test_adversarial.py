"""Layers of generators and discriminators against their equations."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_nnx.layers import (
    AdaptiveInstanceNormalization,
    ConditionalBatchNormalization,
    LabelConcatenation,
    MinibatchStandardDeviation,
    ProjectionHead,
    SpatialSelfAttention,
)

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.standard_normal((4, 6, 5, 8)).astype("float32")
VECTORS = RANDOM.standard_normal((4, 7)).astype("float32")
LABELS = np.array([2, 0, 1, 2], "int32")


def built(layer, *shapes):
    """A layer with no weight at a value as special as zero or one."""
    layer.build(*shapes)
    layer.set_weights([value + RANDOM.uniform(0.1, 0.5, value.shape) for value in layer.get_weights()])
    return layer


def deviation(images, group_size, channels, epsilon=1e-8):
    """The deviations of each example, by loops over groups and channels."""
    batch, *_, width = images.shape
    size = group_size if group_size and batch % group_size == 0 else batch
    groups, share = batch // size, width // channels
    found = np.zeros((batch, channels))
    for group in range(groups):
        members = [group + groups * index for index in range(size)]
        spread = np.sqrt(images[members].var(axis=0) + epsilon)
        for channel in range(channels):
            found[members, channel] = spread[..., channel * share : (channel + 1) * share].mean()
    return found


@pytest.mark.parametrize("batch", [1, 2, 3, 4, 6, 8])
@pytest.mark.parametrize("group_size", [1, 2, 4, None])
@pytest.mark.parametrize("jit_compile", [None, True])
def test_the_deviation_of_groups(batch, group_size, jit_compile):
    images = np.random.default_rng(batch).standard_normal((batch, 3, 2, 6)).astype("float32")
    layer = MinibatchStandardDeviation(group_size, channels=2)
    layer.build((None, None, None, 6))
    call = layer
    if jit_compile:
        call = tf.function(layer, input_signature=[tf.TensorSpec((None, None, None, 6))], jit_compile=True)
    outputs = np.asarray(call(images))
    np.testing.assert_array_equal(outputs[..., :6], images)
    expected = deviation(images, group_size, 2)[:, None, None, :]
    np.testing.assert_allclose(outputs[..., 6:], np.broadcast_to(expected, (batch, 3, 2, 2)), rtol=1e-5, atol=1e-6)


def test_small_differences_are_seen_in_half_precision():
    images = (1 + 0.001 * np.arange(4).reshape(4, 1, 1, 1) * np.ones((4, 2, 2, 3))).astype("float16")
    outputs = np.asarray(MinibatchStandardDeviation(dtype="float16")(images), "float32")
    np.testing.assert_allclose(outputs[..., 3], images.astype("float64").std(axis=0).mean(), rtol=0.01)


def test_the_equation_of_styles():
    layer = built(AdaptiveInstanceNormalization(epsilon=1e-3), IMAGES.shape, VECTORS.shape)
    mean, variance = IMAGES.mean(axis=(1, 2), keepdims=True), IMAGES.var(axis=(1, 2), keepdims=True)
    scale, shift = (VECTORS @ child.kernel.numpy() + child.bias.numpy() for child in (layer.scale, layer.shift))
    expected = (IMAGES - mean) / np.sqrt(variance + 1e-3) * (1 + scale[:, None, None]) + shift[:, None, None]
    np.testing.assert_allclose(layer(IMAGES, VECTORS), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("pool_size", [1, 2, 3])
def test_the_equation_of_attention(pool_size):
    layer = built(SpatialSelfAttention(0.25, 0.75, pool_size), IMAGES.shape)
    query, key, value = (IMAGES @ child.kernel.numpy()[0, 0] for child in (layer.query, layer.key, layer.value))
    assert (key.shape[-1], value.shape[-1]) == (2, 6)
    squares = [
        (slice(top, top + pool_size), slice(left, left + pool_size))
        for top in range(-(6 % pool_size) // 2, 6, pool_size)
        for left in range(-((-5 % pool_size) // 2), 5, pool_size)
    ]
    squares = [tuple(slice(max(0, side.start), side.stop) for side in square) for square in squares]
    keys, values = (np.stack([x[:, a, b].max(axis=(1, 2)) for a, b in squares], axis=1) for x in (key, value))
    scores = np.einsum("bhwk,bmk->bhwm", query, keys)
    weights = np.exp(scores) / np.exp(scores).sum(axis=-1, keepdims=True)
    found = np.einsum("bhwm,bmv->bhwv", weights, values) @ layer.output_projection.kernel.numpy()[0, 0]
    np.testing.assert_allclose(layer(IMAGES), IMAGES + layer.gamma.numpy() * found, rtol=1e-4, atol=1e-4)


def test_a_new_attention_does_nothing():
    np.testing.assert_array_equal(SpatialSelfAttention()(IMAGES), IMAGES)


@pytest.mark.parametrize("labels", [LABELS, LABELS[:, None], LABELS.astype("float32")])
def test_labels_stand_beside_vectors_and_pixels(labels):
    ones = np.eye(3)[LABELS]
    np.testing.assert_array_equal(LabelConcatenation(3)(VECTORS, labels), np.concatenate([VECTORS, ones], axis=1))
    layer = built(LabelConcatenation(3, dim=2), IMAGES.shape, LABELS.shape)
    learned = layer.embedding.embeddings.numpy()[LABELS]
    planes = np.broadcast_to(learned[:, None, None], (4, 6, 5, 2))
    np.testing.assert_allclose(layer(IMAGES, labels), np.concatenate([IMAGES, planes], axis=-1), rtol=1e-6)


@pytest.mark.parametrize("labels", [LABELS, LABELS[:, None]])
def test_the_equation_of_the_projection(labels):
    layer = built(ProjectionHead(3), VECTORS.shape, labels.shape)
    expected = VECTORS @ layer.projection.kernel.numpy() + layer.projection.bias.numpy()
    learned = layer.embedding.embeddings.numpy()[LABELS]
    expected = expected + (learned * VECTORS).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(layer(VECTORS, labels), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("training", [False, True])
def test_the_equation_of_conditional_normalisation(training):
    layer = built(ConditionalBatchNormalization(3, epsilon=1e-2), IMAGES.shape, LABELS.shape)
    mean, variance = (value.numpy() for value in layer.normalization.non_trainable_variables)
    if training:
        mean, variance = IMAGES.mean(axis=(0, 1, 2)), IMAGES.var(axis=(0, 1, 2))
    scale, shift = (child.embeddings.numpy()[LABELS][:, None, None] for child in (layer.scale, layer.shift))
    expected = (IMAGES - mean) / np.sqrt(variance + 1e-2) * scale + shift
    np.testing.assert_allclose(layer(IMAGES, LABELS, training=training), expected, rtol=1e-4, atol=1e-4)


def test_a_new_conditional_normalisation_is_a_plain_one():
    plain = keras.layers.BatchNormalization(momentum=0.9)
    expected = plain(IMAGES, training=True)
    np.testing.assert_allclose(ConditionalBatchNormalization(3)(IMAGES, LABELS, training=True), expected, atol=1e-5)


FLAT = r"expects labels of shape \(b\) or \(b 1\), but received \(4, 2\)"
TWO = np.zeros((4, 2), "int32")


@pytest.mark.parametrize(
    ("make", "inputs", "message"),
    [
        (lambda: MinibatchStandardDeviation(0), [IMAGES], r"group_size=0\) needs an integer of at least 1"),
        (lambda: MinibatchStandardDeviation(channels=0), [IMAGES], r"channels=0\) needs an integer of at least 1"),
        (lambda: MinibatchStandardDeviation(epsilon=0), [IMAGES], r"epsilon=0\) needs a number over 0"),
        (lambda: MinibatchStandardDeviation(channels=3), [IMAGES], r"channels=3\) cannot split 8 channels evenly"),
        (MinibatchStandardDeviation, [VECTORS], r"expects inputs of shape \(b h w c\)"),
        (lambda: AdaptiveInstanceNormalization(0), [IMAGES, VECTORS], r"epsilon=0\) needs a number over 0"),
        (AdaptiveInstanceNormalization, [VECTORS, VECTORS], r"expects inputs of shape \(b h w c\)"),
        (AdaptiveInstanceNormalization, [IMAGES, IMAGES], r"expects inputs of shape \(b s\)"),
        (lambda: SpatialSelfAttention(0), [IMAGES], r"key_ratio=0\) needs a number over 0 and at most 1"),
        (lambda: SpatialSelfAttention(value_ratio=2), [IMAGES], r"value_ratio=2\) needs a number over 0 and at most 1"),
        (lambda: SpatialSelfAttention(pool_size=0), [IMAGES], r"pool_size=0\) needs an integer of at least 1"),
        (lambda: SpatialSelfAttention(normalization="batch"), [IMAGES], "'batch'.*choose one of 'spectral', None"),
        (SpatialSelfAttention, [VECTORS], r"expects inputs of shape \(b h w c\)"),
        (lambda: LabelConcatenation(0), [VECTORS, LABELS], r"num_classes=0\) needs an integer of at least 1"),
        (lambda: LabelConcatenation(3, 0), [VECTORS, LABELS], r"dim=0\) needs an integer of at least 1"),
        (lambda: LabelConcatenation(3), [IMAGES[0], LABELS], r"inputs of shape \(b d\) or \(b h w c\), but received"),
        (lambda: LabelConcatenation(3), [VECTORS, TWO], FLAT),
        (lambda: ProjectionHead(0), [VECTORS], r"num_classes=0\) needs an integer of at least 1"),
        (lambda: ProjectionHead(normalization="batch"), [VECTORS], "'batch'.*choose one of 'spectral', None"),
        (lambda: ProjectionHead(3), [VECTORS], r"num_classes=3\) received no labels: give both"),
        (ProjectionHead, [VECTORS, LABELS], r"num_classes=None\) received labels of shape \(4,\): give both"),
        (lambda: ProjectionHead(3), [IMAGES, LABELS], r"expects inputs of shape \(b d\)"),
        (lambda: ProjectionHead(3), [VECTORS, TWO], FLAT),
        (lambda: ConditionalBatchNormalization(0), [IMAGES, LABELS], r"num_classes=0\) needs an integer"),
        (lambda: ConditionalBatchNormalization(3, 1), [IMAGES, LABELS], r"momentum=1\) needs a number"),
        (lambda: ConditionalBatchNormalization(3, epsilon=0), [IMAGES, LABELS], r"epsilon=0\) needs a number over 0"),
        (lambda: ConditionalBatchNormalization(3), [IMAGES[0], LABELS], r"\(b d\) or \(b h w c\), but received"),
        (lambda: ConditionalBatchNormalization(3), [VECTORS, TWO], FLAT),
    ],
)
def test_what_does_not_fit_is_refused(make, inputs, message):
    with pytest.raises(ValueError, match=message):
        make()(*inputs)
