"""Random changes that are the same at inference, whole in what they move, and differentiable."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_nnx.layers import DifferentiableAugmentation

IMAGES = np.random.default_rng(0).uniform(-1, 1, (64, 8, 12, 3)).astype("float32")


def changed(policy, images=IMAGES, **arguments):
    return np.asarray(DifferentiableAugmentation(policy, seed=1, **arguments)(images, training=True))


def moved(image, down, right):
    """An image moved by whole pixels, with zeros where nothing came from."""
    height, width, _ = image.shape
    result = np.zeros_like(image)
    for row in range(height):
        for column in range(width):
            if 0 <= row - down < height and 0 <= column - right < width:
                result[row, column] = image[row - down, column - right]
    return result


def test_images_move_by_whole_pixels_in_every_way():
    steps = set()
    for image, result in zip(IMAGES, changed(("translation",), translation=0.25), strict=True):
        (found,) = (
            (down, right)
            for down in range(-2, 3)
            for right in range(-3, 4)
            if np.array_equal(moved(image, down, right), result)
        )
        steps.add(found)
    assert {down for down, _ in steps} == set(range(-2, 3))
    assert {right for _, right in steps} == set(range(-3, 4))


def test_a_rectangle_is_cut_out_of_each_image():
    sizes = set()
    for image, result in zip(IMAGES, changed(("cutout",)), strict=True):
        cut = (result == 0).all(axis=-1)
        np.testing.assert_array_equal(result[~cut], image[~cut])
        rows, columns = np.flatnonzero(cut.any(axis=1)), np.flatnonzero(cut.any(axis=0))
        assert cut.sum() == len(rows) * len(columns)
        assert cut[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
        sizes.add((len(rows), len(columns)))
    assert max(sizes) == (4, 6)
    assert min(height for height, _ in sizes) >= 2
    assert min(width for _, width in sizes) >= 3


def test_colours_change_by_one_equation_for_each_image():
    results = changed(("color",))
    factors = []
    for image, result in zip(IMAGES.astype("float64"), results, strict=True):
        # Saturation and contrast act on what is left of a pixel without its mean, and of a mean without that of all.
        grey, mean = image.mean(axis=-1, keepdims=True), image.mean()
        new_grey, new_mean = result.mean(axis=-1, keepdims=True), result.mean()
        contrast = ((new_grey - new_mean) / (grey - mean)).mean()
        both = ((result - new_grey) * (image - grey)).sum() / ((image - grey) ** 2).sum()
        expected = both * (image - grey) + contrast * (grey - mean) + new_mean
        np.testing.assert_allclose(result, expected, atol=1e-4)
        factors.append((new_mean - mean, both / contrast, contrast))
    for values, (low, high) in zip(np.transpose(factors), ((-0.5, 0.5), (0, 2), (0.5, 1.5)), strict=True):
        assert low - 1e-3 <= values.min() < low + 0.15 * (high - low)
        assert high + 1e-3 >= values.max() > high - 0.15 * (high - low)


@pytest.mark.parametrize("training", [False, None])
def test_nothing_happens_at_inference(training):
    np.testing.assert_array_equal(DifferentiableAugmentation()(IMAGES, training=training), IMAGES)


def test_the_same_seed_changes_the_same_and_each_call_anew():
    first, again = DifferentiableAugmentation(seed=3), DifferentiableAugmentation(seed=3)
    results = [np.asarray(first(IMAGES, training=True)) for _ in range(2)]
    assert np.abs(results[0] - results[1]).max() > 0.1
    for expected in results:
        np.testing.assert_array_equal(again(IMAGES, training=True), expected)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_gradients_go_through_a_compiled_graph_of_any_batch(jit_compile):
    layer = DifferentiableAugmentation(("translation", "cutout"), seed=3)

    @tf.function(input_signature=[tf.TensorSpec((None, 8, 12, 3))], jit_compile=jit_compile)
    def run(images):
        with tf.GradientTape() as tape:
            tape.watch(images)
            outputs = layer(images, training=True)
            total = tf.reduce_sum(outputs)
        return outputs, tape.gradient(total, images)

    for batch in (1, 5):
        outputs, gradient = run(IMAGES[:batch])
        # A pixel that is seen has the gradient one, and what became of the image is the sum of those.
        assert set(np.unique(gradient)) == {0.0, 1.0}
        np.testing.assert_allclose(np.sum(outputs), (gradient * IMAGES[:batch]).numpy().sum(), rtol=1e-4, atol=1e-3)


def test_colours_of_images_of_any_size():
    image = keras.Input((None, None, 3))
    model = keras.Model(image, DifferentiableAugmentation(("color",), seed=1)(image))
    np.testing.assert_allclose(model(IMAGES, training=True), changed(("color",)), atol=1e-6)


@pytest.mark.parametrize("policy", [("translation",), ("cutout",)])
def test_unknown_sides_are_refused_where_they_have_to_be_known(policy):
    layer = DifferentiableAugmentation(policy)
    call = tf.function(layer, input_signature=[tf.TensorSpec((None, None, 8, 3))])
    np.testing.assert_array_equal(call(IMAGES[:, :, :8]), IMAGES[:, :, :8])
    traced = tf.function(lambda images: layer(images, training=True), call.input_signature)
    with pytest.raises(ValueError, match=r"has to know the height and the width.*received shape \(None, None, 8, 3\)"):
        traced(IMAGES[:, :, :8])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"policy": "color"}, r"policy='color'\) needs a tuple of names"),
        ({"policy": ()}, r"policy=\(\)\) needs a tuple of names"),
        ({"policy": ("colour",)}, r"policy='colour'\) is unknown: choose one of 'color', 'translation', 'cutout'"),
        ({"translation": 0}, r"translation=0\) needs a number over 0 and at most 1"),
        ({"cutout": 1.5}, r"cutout=1.5\) needs a number over 0 and at most 1"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        DifferentiableAugmentation(**arguments)


def test_what_is_no_image_is_refused():
    with pytest.raises(ValueError, match=r"expects inputs of shape \(b h w c\)"):
        DifferentiableAugmentation()(IMAGES[0])
