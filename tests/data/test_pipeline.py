"""The pipelines of `load`, on the digits: normalisation, order, augmentation, batches."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_nnx.data import load


def arrays(dataset):
    """All images and all labels of a dataset."""
    images, labels = zip(*dataset.as_numpy_iterator(), strict=True)
    return np.concatenate(images), np.concatenate(labels)


def test_training_statistics_normalise_the_training_split_alone(digits):
    images, _ = arrays(digits.raw("train"))
    np.testing.assert_allclose(digits.info.mean, images.mean(axis=(0, 1, 2), dtype=np.float64), rtol=1e-12)
    deviation = images.std(axis=(0, 1, 2), dtype=np.float64)
    np.testing.assert_allclose(digits.info.standard_deviation, deviation, rtol=1e-12)
    everything = np.concatenate([images, arrays(digits.raw("test"))[0]])
    assert abs(digits.info.mean[0] - everything.mean(dtype=np.float64)) > 1e-6
    normalised = digits.normalization()(images).numpy()
    np.testing.assert_allclose([normalised.mean(), normalised.std()], [0.0, 1.0], atol=1e-4)


@pytest.mark.parametrize("split", ["validation", "test"])
def test_raw_through_normalization_is_the_pipeline(digits, split):
    raw, raw_labels = arrays(digits.raw(split))
    images, labels = arrays(getattr(digits, split))
    assert raw.min() == 0.0
    assert raw.max() == 255.0
    np.testing.assert_allclose(digits.normalization()(raw).numpy(), images, atol=1e-6)
    np.testing.assert_array_equal(raw_labels, labels)


def test_batches_have_the_documented_types_and_shapes(digits):
    assert digits.train.element_spec == (tf.TensorSpec((64, 8, 8, 1), tf.float32), tf.TensorSpec((64,), tf.int64))
    assert digits.test.element_spec == (tf.TensorSpec((None, 8, 8, 1), tf.float32), tf.TensorSpec((None,), tf.int64))
    assert [len(labels) for _, labels in digits.train] == [64] * 19  # 1257 = 19 * 64 + 41
    assert [len(labels) for _, labels in digits.test] == [64] * 4 + [14]


def test_a_split_smaller_than_a_batch_is_one_batch(digits_dir):
    data = load("digits", batch_size=2000, data_dir=digits_dir)
    assert [len(labels) for _, labels in data.train] == [1257]


def test_training_is_shuffled_anew_at_each_iteration(digits):
    first, second = arrays(digits.train)[1], arrays(digits.train)[1]
    in_order = arrays(digits.raw("train"))[1][: len(first)]
    assert (first != second).any()
    assert (first != in_order).any()


@pytest.mark.parametrize("augment", ["none", "shift_flip", "affine"])
def test_the_same_seed_gives_the_same_batches(digits_dir, augment):
    def two_epochs(seed):
        train = load("digits", augment=augment, seed=seed, data_dir=digits_dir).train
        return [np.concatenate([arrays(train)[part], arrays(train)[part]]) for part in (0, 1)]

    first, again, other = two_epochs(0), two_epochs(0), two_epochs(1)
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert (first[0] != other[0]).any()


def pictures_by_label_order(data):
    """One epoch of training pictures in pixel units, whole numbers again."""
    images, _ = arrays(data.train)
    return np.rint(images * data.info.standard_deviation[0] + data.info.mean[0])[..., 0]


def shifts(raw):
    """Every shift by at most one pixel of every raw picture, as bytes: what `shift` may return for 8x8."""
    padded = np.pad(raw[..., 0], [(0, 0), (1, 1), (1, 1)])
    return [
        {picture.tobytes() for picture in padded[:, row : row + 8, column : column + 8].astype(np.uint8)}
        for row in range(3)
        for column in range(3)
    ]


def test_augmentation_differs_across_epochs_and_shifts_by_the_declared_pixels(digits, digits_dir):
    data = load("digits", augment="shift", batch_size=1257, data_dir=digits_dir)
    epochs = [pictures_by_label_order(data).astype(np.uint8) for _ in range(2)]
    sets = [{picture.tobytes() for picture in epoch} for epoch in epochs]
    assert sets[0] != sets[1]  # with shuffling alone, each epoch has the same pictures

    allowed = shifts(arrays(digits.raw("train"))[0])
    assert sets[0] <= set().union(*allowed)
    assert all(sets[0] & place for place in allowed)  # each of the nine shifts occurs


def test_without_augmentation_every_epoch_has_the_same_pictures(digits_dir):
    data = load("digits", augment="none", batch_size=1257, data_dir=digits_dir)
    epochs = [{picture.astype(np.uint8).tobytes() for picture in pictures_by_label_order(data)} for _ in range(2)]
    assert epochs[0] == epochs[1]


def test_flip_mirrors_some_pictures_and_shift_none():
    from keras_nnx.data._augment import shift, shift_flip

    picture = tf.constant(np.arange(64, dtype=np.float32).reshape(8, 8, 1) + 1)
    slopes = {
        function: {
            float(np.sign(changed[4, 4, 0] - changed[4, 3, 0]))
            for changed in (function(picture, (1, n)) for n in range(40))
        }
        for function in (shift, shift_flip)
    }
    assert slopes == {shift: {1.0}, shift_flip: {1.0, -1.0}}


def test_affine_moves_by_less_than_it_declares_and_keeps_the_middle():
    from keras_nnx.data._augment import affine

    dot = np.zeros((17, 17, 1), np.float32)
    dot[8, 8] = 1.0
    grid = np.arange(17) - 8.0
    for n in range(40):
        changed = affine(tf.constant(dot), (3, n)).numpy()[:, :, 0]
        assert changed.sum() > 0.2
        row, column = (changed.sum(axis=1) @ grid) / changed.sum(), (changed.sum(axis=0) @ grid) / changed.sum()
        assert max(abs(row), abs(column)) < 17 / 8 * 1.5 + 1


@pytest.mark.parametrize("split", ["validation", "test"])
def test_evaluation_splits_are_the_same_pictures_in_the_same_order(digits_dir, digits, split):
    data = load("digits", augment="shift_flip", seed=5, data_dir=digits_dir)
    for epoch in (getattr(data, split), getattr(data, split), getattr(digits, split)):
        for expected, received in zip(arrays(getattr(digits, split)), arrays(epoch), strict=True):
            np.testing.assert_array_equal(received, expected)


def test_a_function_augments(digits_dir):
    def darken(image, seed):
        assert seed.shape == (2,)
        return image * 0.0

    data = load("digits", augment=darken, data_dir=digits_dir)
    darkest = -data.info.mean[0] / data.info.standard_deviation[0]
    np.testing.assert_allclose(arrays(data.train)[0], darkest, rtol=1e-6)


def test_a_function_that_changes_the_shape_is_refused(digits_dir):
    with pytest.raises(ValueError, match=r"returned a picture of shape \(4, 8, 1\) for one of shape \(8, 8, 1\)"):
        load("digits", augment=lambda image, seed: image[:4], data_dir=digits_dir)


def test_what_is_too_large_for_memory_is_read_again_and_stays_the_same(digits, digits_dir, monkeypatch):
    monkeypatch.setattr("keras_nnx.data._images.CACHE_BYTES", 1000)
    data = load("digits", augment="none", data_dir=digits_dir)
    np.testing.assert_array_equal(arrays(data.raw("train"))[0], arrays(digits.raw("train"))[0])
    assert (arrays(data.train)[1] != arrays(data.train)[1]).any()


def test_resizing(digits_dir):
    data = load("digits", image_size=(16, 12), data_dir=digits_dir)
    assert data.info.image_shape == (16, 12, 1)
    images, _ = arrays(data.raw("test"))
    assert images.shape == (270, 16, 12, 1)
    assert images.dtype == np.float32
    assert 0.0 <= images.min() < images.max() <= 255.0


def test_a_model_fits_compiled(digits):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(10)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss, metrics=["accuracy"], jit_compile=True)
    model.fit(digits.train, validation_data=digits.validation, epochs=4, shuffle=False, verbose=0)
    assert model.evaluate(digits.test, verbose=0, return_dict=True)["accuracy"] > 0.9


def test_raw_names_its_splits(digits):
    with pytest.raises(ValueError, match="raw\\('dev'\\) names no split: use one of 'train', 'validation', 'test'"):
        digits.raw("dev")


def test_info_is_frozen(digits):
    with pytest.raises(AttributeError):
        digits.info.name = "other"
    assert digits.info.num_classes == len(digits.info.labels) == 10
