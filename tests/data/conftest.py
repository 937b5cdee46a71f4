"""What the tests of `keras_nnx.data` share: prepared digits, and small data sets of awkward kinds."""

import numpy as np
import pytest
import tensorflow_datasets as tfds

from keras_nnx.data import load


@pytest.fixture(scope="session")
def digits_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("prepared")


@pytest.fixture(scope="session")
def digits(digits_dir):
    return load("digits", augment="none", data_dir=digits_dir)


@pytest.fixture(autouse=True)
def own_data_dir(tmp_path, monkeypatch):
    """No test writes into the user's own folder."""
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))


class NnxTestPictures(tfds.core.GeneratorBasedBuilder):
    """Pictures of varying size, and whichever splits `split_sizes` asks for."""

    VERSION = tfds.core.Version("1.0.0")
    url_infos = None
    split_sizes: dict[str, int] = {"train": 40}  # noqa: RUF012

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(None, None, 3)),
                    "label": tfds.features.ClassLabel(names=["cat", "dog"]),
                }
            ),
        )

    def _split_generators(self, dl_manager):
        return {split: self._generate_examples(split, size) for split, size in self.split_sizes.items()}

    def _generate_examples(self, split, size):
        random = np.random.RandomState(len(split))
        for key in range(size):
            shape = (*random.randint(6, 20, size=2), 3)
            label = -1 if split == "test" else key % 2
            yield key, {"image": random.randint(0, 256, shape).astype(np.uint8), "label": label}


class NnxTestNumbers(tfds.core.GeneratorBasedBuilder):
    """No picture at all."""

    VERSION = tfds.core.Version("1.0.0")
    url_infos = None

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(
                {"value": tfds.features.Scalar(np.float32), "label": tfds.features.Text()}
            ),
        )

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        yield 0, {"value": 1.0, "label": "one"}


class NnxTestRemote(tfds.core.GeneratorBasedBuilder):
    """Pictures that would have to be downloaded from a host that does not exist."""

    VERSION = tfds.core.Version("1.0.0")
    url = "https://pictures.invalid/all.zip"
    url_infos = {url: None}  # noqa: RUF012
    failure: Exception | None = None

    _info = NnxTestPictures._info

    def _split_generators(self, dl_manager):
        if self.failure:
            raise self.failure
        return {"train": NnxTestPictures._generate_examples(self, "train", 40)}

    def _generate_examples(self):
        raise NotImplementedError


@pytest.fixture
def pictures():
    return NnxTestPictures


@pytest.fixture
def remote(monkeypatch):
    """The remote builder, with no proxy configured and no name that resolves."""

    def unresolved(address, timeout):
        raise OSError(f"{address[0]} is not known")

    monkeypatch.setattr("urllib.request.getproxies", dict)
    monkeypatch.setattr("socket.create_connection", unresolved)
    return NnxTestRemote
