"""Finds a data set's builder and prepares it once, quietly, without the network where none is needed."""

import contextlib
import difflib
import importlib
import os
from collections.abc import Iterator
from typing import Any

from keras_nnx.data._extra import missing_extra, require
from keras_nnx.data._network import is_network_failure, no_network, require_network
from keras_nnx.data._quiet import quiet
from keras_nnx.data.errors import DataError, DatasetFolderError, NotPreparedError, UnknownDatasetError


def find_builder(name: str, data_dir: str | os.PathLike[str] | None) -> Any:
    """Finds the builder of a data set; it may not be prepared yet.

    Args:
        name: The data set, as `tfds.builder` takes it: `"mnist"`, `"emnist/letters"`, `"mnist:3.0.1"`.
        data_dir: Where prepared data sets are kept; None for `TFDS_DATA_DIR`, else TensorFlow Datasets' default.

    Returns:
        The `tfds.core.DatasetBuilder`.

    Raises:
        MissingExtraError: If a package is missing.
        UnknownDatasetError: If there is no such data set.

    Example:
        >>> find_builder("digits", "somewhere").name
        'digits'
    """
    require("tensorflow_datasets")
    importlib.import_module("keras_nnx.data.digits")  # registers it
    # TensorFlow Datasets reads TFDS_DATA_DIR once, when it is imported; this reads it at every call.
    folder = os.fspath(data_dir or os.environ.get("TFDS_DATA_DIR") or "") or None
    with quiet(), folder_errors(name, folder or "~/tensorflow_datasets"):
        return _find(name, folder)


def prepare(builder: Any, name: str, download: bool) -> Any:
    """Prepares a data set on this machine, where it is not yet.

    TensorFlow Datasets prepares into a folder of its own and renames it when all is written, so a process that
    is killed leaves nothing that looks finished. Of two processes that prepare at once the second fails to
    rename; it then uses what the first has written.

    Args:
        builder: What `find_builder` found.
        name: The name that it was found by.
        download: Whether the network may be used.

    Returns:
        A builder of the prepared data set, which knows its splits.

    Raises:
        MissingExtraError: If a package is missing.
        NotPreparedError: If it would have to be downloaded and `download` is False.
        NoNetworkError: If it has to be downloaded and the network cannot be reached.

    Example:
        >>> import tempfile
        >>> builder = find_builder("digits", tempfile.mkdtemp())
        >>> prepare(builder, "digits", download=False).info.splits["train"].num_examples
        1257
    """
    with quiet():
        if builder.is_prepared():
            return builder
    bundled = isinstance(builder, importlib.import_module("keras_nnx.data.digits").Digits)
    if not bundled and not download:
        raise NotPreparedError(
            f"The data set '{name}' is not prepared in {builder.data_dir_root} and load(download=False) forbids to "
            "download it: use download=True, or pass the data_dir= that has it."
        )
    folder = os.fspath(builder.data_dir_root)
    with quiet(progress=not bundled), folder_errors(name, folder):
        _prepare(builder, name, folder, bundled)
        return _find(name, folder)


@contextlib.contextmanager
def folder_errors(name: str, folder: str) -> Iterator[None]:
    """Turns what a full, forbidden or damaged folder raises inside the block into one error.

    TensorFlow Datasets passes on what its libraries raise: of the operating system, of TensorFlow, of the parser of
    its descriptions.

    Args:
        name: The data set.
        folder: Where it is prepared.

    Raises:
        DatasetFolderError: In their place.

    Example:
        >>> with folder_errors("digits", "somewhere"):
        ...     pass
    """
    try:
        yield
    except (DataError, ImportError):
        raise
    except Exception as error:
        kind = type(error)
        if not issubclass(kind, OSError | RuntimeError) and kind.__module__.split(".")[0] not in (
            "tensorflow",
            "google",
        ):
            raise
        raise DatasetFolderError(
            f"The data set '{name}' cannot be prepared or read in {folder}: {error}. Make room or choose another "
            f"folder (data_dir= or TFDS_DATA_DIR); if it was prepared before, delete it there to prepare it anew."
        ) from error


def _find(name: str, data_dir: str | None) -> Any:
    """Finds a builder in the local registry and folders; the community registry would need the network."""
    tfds = require("tensorflow_datasets")
    naming = require("tensorflow_datasets.core.naming")
    try:
        if naming.parse_builder_name_kwargs(name)[0].namespace:
            raise _unknown(name)
    except ValueError as error:
        raise _unknown(name) from error
    try:
        return tfds.builder(name, try_gcs=False, data_dir=data_dir)
    except (tfds.core.DatasetNotFoundError, AssertionError) as error:  # a version that no builder has is asserted
        raise _unknown(name) from error


def _unknown(name: str) -> UnknownDatasetError:
    names = require("tensorflow_datasets").list_builders(with_community_datasets=False)
    matches = difflib.get_close_matches(name.split("/")[0].split(":")[0].lower(), names, n=5)
    hint = f"Did you mean {', '.join(map(repr, matches))}?" if matches else "No name is close to it."
    return UnknownDatasetError(
        f"load(name={name!r}) names none of the {len(names)} data sets that TensorFlow Datasets knows here. {hint} "
        "tfds.list_builders() lists them all, 'digits' needs no download, and the community's data sets (names with "
        "a colon in front) are not supported."
    )


def _prepare(builder: Any, name: str, data_dir: str, bundled: bool) -> None:
    """Prepares a data set; an error counts only if no other process has finished it meanwhile."""
    download_config = require("tensorflow_datasets").download.DownloadConfig(try_download_gcs=False)
    try:
        if not bundled:
            require_network(builder)
        builder.download_and_prepare(download_config=download_config)
    except DataError:
        raise
    except ModuleNotFoundError as error:
        raise missing_extra(error, f"Preparing the data set '{name}' needs more packages") from error
    except Exception as error:
        if _find(name, data_dir).is_prepared():
            return
        if is_network_failure(error):
            raise no_network(name, error) from error
        raise
