"""What `load` says when a data set cannot be had, and which arguments it refuses."""

import errno
import importlib.util
import io
import subprocess
import sys

import pytest
import requests

from keras_nnx.data import MissingExtraError, NoNetworkError, NotPreparedError, UnknownDatasetError, load
from keras_nnx.data._network import is_network_failure


@pytest.mark.parametrize(("name", "near"), [("minst", "'mnist'"), ("digit", "'digits'"), ("cifar_10/x", "'cifar10'")])
def test_an_unknown_name_lists_near_ones(name, near):
    with pytest.raises(UnknownDatasetError, match=f"Did you mean .*{near}.*needs no download"):
        load(name)


@pytest.mark.parametrize("name", ["qqqqqqqqqqqq", "not a name!"])
def test_a_name_that_is_near_nothing_says_so(name):
    with pytest.raises(ValueError, match="No name is close to it"):
        load(name)


def test_a_community_name_is_refused_without_the_network(monkeypatch):
    monkeypatch.delattr("socket.getaddrinfo")
    with pytest.raises(UnknownDatasetError, match=r"community's data sets .* are not supported"):
        load("huggingface:beans")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": ""}, "name=''"),
        ({"name": None}, "name=None"),
        ({"batch_size": 0}, r"batch_size=0\) makes no batches"),
        ({"batch_size": True}, "batch_size=True"),
        ({"batch_size": 1.5}, "batch_size=1.5"),
        ({"image_size": 32}, r"image_size=32\) .* \(height, width\)"),
        ({"image_size": (0, 32)}, r"image_size=\(0, 32\)"),
        ({"validation_fraction": 0}, "validation_fraction=0"),
        ({"validation_fraction": 1.0}, "validation_fraction=1.0"),
        ({"seed": -1}, "seed=-1"),
        ({"seed": "0"}, "seed='0'"),
    ],
)
def test_arguments_that_cannot_work_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        load(**{"name": "digits", **arguments})


def test_an_unknown_augmentation_lists_the_known_ones(digits_dir):
    with pytest.raises(ValueError, match=r"augment='flip'.*'none', 'shift', 'shift_flip', 'affine'"):
        load("digits", augment="flip", data_dir=digits_dir)


def test_a_download_without_a_network_says_so_and_points_to_digits(remote, tmp_path):
    with pytest.raises(
        NoNetworkError, match=r"'nnx_test_remote' has to be downloaded.*pictures.invalid.*load\('digits'\) needs"
    ) as caught:
        load("nnx_test_remote", image_size=(8, 8))
    assert isinstance(caught.value, ConnectionError)
    assert str(caught.value).count("has to be downloaded") == 1
    assert list(tmp_path.rglob("*.json")) == []


@pytest.mark.parametrize(
    ("arguments", "message"), [({}, "vary in size"), ({"image_size": (8, 8), "augment": "flip"}, "no augmentation")]
)
def test_what_is_wrong_before_a_download_is_said_before_it(remote, monkeypatch, arguments, message):
    monkeypatch.setattr(remote, "failure", AssertionError("prepared too early"))
    with pytest.raises(ValueError, match=message):
        load("nnx_test_remote", **arguments)


def test_mnist_without_a_network(remote):
    pytest.importorskip("importlib_resources", reason="tensorflow-datasets 4.9.10 needs it to download anything")
    with pytest.raises(NoNetworkError, match="'mnist' has to be downloaded"):
        load("mnist")


def test_a_connection_that_breaks_halfway_is_a_network_failure(remote, monkeypatch):
    monkeypatch.setattr("urllib.request.getproxies", lambda: {"https": "http://proxy.invalid"})  # nothing is checked
    monkeypatch.setattr(remote, "failure", requests.exceptions.ConnectionError("connection reset"))
    with pytest.raises(NoNetworkError, match="connection reset"):
        load("nnx_test_remote", image_size=(8, 8))


def test_a_finished_download_is_prepared_without_a_network(remote, tmp_path):
    downloads = tmp_path / "downloads" / "nnx_test_remote"
    downloads.mkdir(parents=True)
    (downloads / "all.zip.tmp.0").touch()
    with pytest.raises(NoNetworkError):
        load("nnx_test_remote", image_size=(8, 8))
    (downloads / "all.zip").touch()
    assert sum(load("nnx_test_remote", image_size=(8, 8)).info.sizes) == 40


def test_a_full_disk_stays_a_full_disk(remote, monkeypatch):
    monkeypatch.setattr("socket.create_connection", lambda address, timeout: io.BytesIO())  # answers
    monkeypatch.setattr(remote, "failure", OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(OSError, match="No space left on device") as caught:
        load("nnx_test_remote", image_size=(8, 8))
    assert not isinstance(caught.value, NoNetworkError)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (requests.exceptions.ConnectTimeout(), True),
        (requests.exceptions.SSLError(), False),
        (requests.exceptions.HTTPError("404"), False),
        (ConnectionResetError(), True),
        (PermissionError(), False),
        (ValueError("checksum"), False),
    ],
)
def test_only_a_dead_connection_is_a_network_failure(error, expected):
    assert is_network_failure(error) is expected


def test_download_false_downloads_nothing(remote):
    with pytest.raises(NotPreparedError, match=r"not prepared in .*download=False.*data_dir="):
        load("nnx_test_remote", image_size=(8, 8), download=False)


def test_a_missing_package_names_the_pip_command(remote, monkeypatch):
    monkeypatch.setattr("socket.create_connection", lambda address, timeout: io.BytesIO())  # answers
    monkeypatch.setattr(remote, "failure", ModuleNotFoundError("no cv2", name="cv2"))
    with pytest.raises(MissingExtraError, match=r"'cv2' is not installed.*pip install \"keras-nnx\[data\]\""):
        load("nnx_test_remote", image_size=(8, 8))


def test_a_missing_extra_names_the_pip_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(ImportError, match=r"needs 'tensorflow_datasets'.*pip install \"keras-nnx\[data\]\"") as caught:
        load("digits")
    assert caught.value.name == "tensorflow_datasets"


@pytest.mark.multiprocess
def test_the_import_is_light():
    code = (
        "import sys, keras; before = set(sys.modules); import keras_nnx.data; "
        "print(*sorted({m.split('.')[0] for m in set(sys.modules) - before} & {'tensorflow_datasets', 'sklearn'}))"
    )
    assert importlib.util.find_spec("tensorflow_datasets")
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"
