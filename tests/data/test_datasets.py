"""`load` on other data sets: mocked ones of TensorFlow Datasets, missing splits, varying sizes, no pictures."""

import numpy as np
import pytest
import tensorflow_datasets as tfds

from keras_nnx.data import UnsupportedDatasetError, load
from keras_nnx.data._features import check_features, image_features
from keras_nnx.data._splits import choose_splits


@pytest.fixture
def mocked(tmp_path):
    """Makes TensorFlow Datasets return random pictures for a name; only its metadata is written."""

    def mock(name, labels, **sizes):
        builder = tfds.builder(name, data_dir=tmp_path)
        builder.info.features["label"].names = labels
        template = tfds.core.ShardedFileTemplate(
            data_dir=builder.data_path, dataset_name=name, filetype_suffix="tfrecord"
        )
        splits = [
            tfds.core.SplitInfo(name=split, shard_lengths=[size], num_bytes=0, filename_template=template)
            for split, size in sizes.items()
        ]
        builder.info.set_splits(tfds.core.splits.SplitDict(splits))
        builder.data_path.mkdir(parents=True)
        builder.info.write_to_directory(builder.data_dir)
        return tfds.testing.mock_data(num_examples=30, data_dir=str(tmp_path))

    return mock


DIGITS = tuple("0123456789")
THINGS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@pytest.mark.parametrize(
    ("name", "shape", "labels"), [("mnist", (28, 28, 1), DIGITS), ("cifar10", (32, 32, 3), THINGS)]
)
def test_mocked_data_sets(mocked, name, shape, labels):
    with mocked(name, labels, train=100, test=20):
        data = load(name, batch_size=8, validation_fraction=0.15)
        images, numbers = next(data.train.as_numpy_iterator())
    assert data.info.image_shape == shape
    assert data.info.labels == labels
    assert len(data.info.mean) == len(data.info.standard_deviation) == shape[-1]
    assert data.info.sources == ("train[:85]", "train[85:100]", "test")
    assert images.shape == (8, *shape)
    assert images.dtype == np.float32
    assert set(numbers) <= set(range(10))


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({"train": 80, "validation": 10, "test": 10}, ("train", "validation", "test")),
        ({"train": 80, "test": 10}, ("train[:72]", "train[72:80]", "test")),
        ({"train": 80, "validation": 10}, ("train[:72]", "train[72:80]", "validation")),
        ({"train": 80}, ("train[:64]", "train[64:72]", "train[72:80]")),
        ({"train": 80, "extra": 500, "test": 10}, ("train[:72]", "train[72:80]", "test")),
    ],
)
def test_splits_that_are_missing_are_carved(counts, expected):
    assert choose_splits("some", counts, 0.1) == expected


@pytest.mark.parametrize(("fraction", "message"), [(0.001, "takes 0 of the 80"), (0.5, "leaves 0")])
def test_a_fraction_that_empties_a_split_is_refused(fraction, message):
    with pytest.raises(ValueError, match=message):
        choose_splits("some", {"train": 80}, fraction)


def test_a_data_set_without_training_examples_is_refused():
    with pytest.raises(UnsupportedDatasetError, match=r"no labelled 'train' split, only \['test'\]"):
        choose_splits("some", {"test": 80}, 0.1)


def test_pictures_of_varying_size_are_resized(pictures):
    data = load("nnx_test_pictures", image_size=(10, 12), batch_size=4, validation_fraction=0.25)
    assert data.info.sizes == (20, 10, 10)
    assert data.info.labels == ("cat", "dog")
    assert [images.shape for images, _ in data.raw("test")] == [(4, 10, 12, 3), (4, 10, 12, 3), (2, 10, 12, 3)]


def test_carved_splits_share_no_example(pictures):
    data = load("nnx_test_pictures", image_size=(10, 12), validation_fraction=0.25)
    seen = [
        image.tobytes()
        for split in data.info.sizes._fields
        for images, _ in data.raw(split)
        for image in images.numpy()
    ]
    assert len(seen) == len(set(seen)) == 40


def test_pictures_of_varying_size_need_a_size(pictures):
    with pytest.raises(UnsupportedDatasetError, match=r"vary in size, shape \(None, None, 3\).*pass image_size="):
        load("nnx_test_pictures")


def test_a_test_split_with_secret_labels_is_not_used(pictures, monkeypatch):
    monkeypatch.setattr(pictures, "split_sizes", {"train": 40, "validation": 8, "test": 8})
    data = load("nnx_test_pictures", image_size=(8, 8))
    assert data.info.sources == ("train[:36]", "train[36:40]", "validation")
    assert all((labels >= 0).numpy().all() for _, labels in data.test)


def test_what_is_not_image_classification_is_refused():
    message = "not image classification.*it has value: Scalar, label: Text"
    with pytest.raises(UnsupportedDatasetError, match=message):
        load("nnx_test_numbers")
    assert issubclass(UnsupportedDatasetError, ValueError)


@pytest.mark.parametrize(
    ("image", "label", "message"),
    [
        ({"shape": (8, 8, 1), "dtype": np.uint16}, {"num_classes": 2}, "images of type uint16"),
        ({"shape": (8, 8, None)}, {"num_classes": 2}, "a fixed number of channels"),
        ({"shape": (8, 8, 1)}, {}, "how many classes"),
    ],
)
def test_pictures_and_labels_of_other_kinds_are_refused(image, label, message):
    features = {"image": tfds.features.Image(**image), "label": tfds.features.ClassLabel(**label)}
    check = image_features if not label else check_features
    with pytest.raises(UnsupportedDatasetError, match=message):
        check("some", features, None)
