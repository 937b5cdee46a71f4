"""The `digits` builder: its splits, its pixels, and preparations that are interrupted."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest
import tensorflow_datasets as tfds
from sklearn.datasets import load_digits

from keras_nnx.data import load

SIZES = {"train": 1257, "validation": 270, "test": 270}


def examples(data_dir, split):
    """The images, labels and indices of a split, as arrays in the stored order."""
    dataset = tfds.load("digits", split=split, data_dir=data_dir, batch_size=-1, download=False)
    arrays = tfds.as_numpy(dataset)
    return arrays["image"], arrays["label"], arrays["index"]


@pytest.fixture(scope="module")
def splits(digits, digits_dir):
    return {split: examples(digits_dir, split) for split in SIZES}


def test_every_example_is_in_exactly_one_split(splits):
    indices = np.concatenate([part[2] for part in splits.values()])
    assert sorted(indices) == list(range(1797))


@pytest.mark.parametrize("split", SIZES)
def test_each_class_has_its_share_within_one_example(splits, split):
    everything = np.bincount(load_digits().target)
    here = np.bincount(splits[split][1], minlength=10)
    assert here.sum() == SIZES[split]
    assert np.abs(here - everything * SIZES[split] / 1797).max() <= 1


@pytest.mark.parametrize("split", SIZES)
def test_pixels_and_labels_are_the_originals_scaled(splits, split):
    images, labels, indices = splits[split]
    bundle = load_digits()
    assert images.dtype == np.uint8
    assert images.shape == (SIZES[split], 8, 8, 1)
    np.testing.assert_array_equal(np.rint(images[..., 0] * (16 / 255)), bundle.images[indices])
    np.testing.assert_array_equal(labels, bundle.target[indices])
    assert images.max() == 255


def test_two_preparations_are_the_same(splits, tmp_path):
    load("digits", data_dir=tmp_path)
    for split, arrays in splits.items():
        for expected, received in zip(arrays, examples(tmp_path, split), strict=True):
            np.testing.assert_array_equal(received, expected)


def test_the_environment_names_the_folder_at_every_call(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "elsewhere"))
    load("digits")
    assert (tmp_path / "elsewhere" / "digits" / "1.0.0" / "dataset_info.json").exists()


def test_a_preparation_prints_nothing_and_needs_no_download(tmp_path, capfd, caplog, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError(f"the network was asked for {args}")

    monkeypatch.setattr("socket.getaddrinfo", refuse)
    monkeypatch.setattr("socket.create_connection", refuse)
    assert load("digits", data_dir=tmp_path, download=False).info.sizes == tuple(SIZES.values())
    captured = capfd.readouterr()
    assert captured.out == ""
    assert [line for line in captured.err.splitlines() if "digits" in line or "it/s" in line] == []
    assert caplog.records == []


def test_the_card_tells_source_scale_and_citation(digits_dir):
    info = tfds.builder("digits", data_dir=digits_dir).info
    assert "255 / 16" in info.description
    assert "10.24432/C50P49" in info.citation
    assert info.homepage.startswith("https://archive.ics.uci.edu/")
    assert info.supervised_keys == ("image", "label")


SLOW_BUILDER = textwrap.dedent(
    """
    import pathlib, sys, time
    from keras_nnx.data import load
    from keras_nnx.data.digits import Digits

    flags = pathlib.Path(sys.argv[1])
    generate = Digits._generate_examples

    def halfway(self, indices, pixels, labels):
        for number, example in enumerate(generate(self, indices, pixels, labels)):
            if number == 100 and not (flags / "go").exists():
                print("halfway", file=sys.__stdout__, flush=True)  # load keeps stdout quiet
                while not (flags / "go").exists():
                    time.sleep(0.02)
            yield example

    Digits._generate_examples = halfway
    print(*load("digits", data_dir=sys.argv[2]).info.sizes, flush=True)
    """
)


@pytest.fixture
def halfway(tmp_path):
    """A process that has written a part of the training split and waits for the file `go`."""
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW_BUILDER, str(tmp_path), str(tmp_path / "data")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout.readline() == "halfway\n"
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.multiprocess
def test_a_killed_preparation_leaves_nothing_that_looks_finished(halfway, tmp_path):
    halfway.kill()
    halfway.wait()
    assert [path.name for path in (tmp_path / "data" / "digits").glob("1.*")] == []
    data = load("digits", data_dir=tmp_path / "data")
    assert data.info.sizes == tuple(SIZES.values())
    assert sum(len(labels) for _, labels in data.raw("train")) == SIZES["train"]


@pytest.mark.multiprocess
def test_two_processes_that_prepare_at_once_both_succeed(halfway, tmp_path):
    assert load("digits", data_dir=tmp_path / "data").info.sizes == tuple(SIZES.values())
    (tmp_path / "go").touch()
    output, errors = halfway.communicate(timeout=120)
    assert halfway.returncode == 0, errors
    assert output == "1257 270 270\n"
    assert [path.name for path in (tmp_path / "data" / "digits").iterdir()] == ["1.0.0"]
