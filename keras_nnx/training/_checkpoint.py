"""A training on disk: arrays in one file, and what is left in JSON, of one moment."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

_ARRAY = "__array__"
_FORMAT = 1


def write(path: Path, record: dict[str, Any]) -> None:
    """Write a record of numbers, text, lists, dictionaries and arrays in the place of an earlier one, or nothing.

    Args:
        path: The file; a process that is killed leaves the earlier one.
        record: What to write.
    """
    arrays: list[np.ndarray] = []
    text = json.dumps({"format": _FORMAT, "record": _without_arrays(record, arrays)})
    buffer = io.BytesIO()
    entries: dict[str, Any] = {f"array_{index}": array for index, array in enumerate(arrays)}
    np.savez(buffer, text=np.array(text), **entries)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with beside.open("wb") as file:
            file.write(buffer.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def read(path: Path) -> dict[str, Any]:
    """Return the record in a file.

    Raises:
        ValueError: If it is not one.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            document = json.loads(str(file["text"]))
            if document.get("format") != _FORMAT:
                raise ValueError(f"format {document.get('format')!r}, where {_FORMAT} is read")
            return _with_arrays(document["record"], {name: file[name] for name in file.files})
    except (OSError, KeyError, ValueError, EOFError) as error:
        raise ValueError(f"{path} is no training that can be resumed ({error}): delete it to start anew.") from error


def _without_arrays(value: Any, arrays: list[np.ndarray]) -> Any:
    if isinstance(value, dict):
        return {key: _without_arrays(entry, arrays) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_without_arrays(entry, arrays) for entry in value]
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        # NumPy cannot read bfloat16 back without a package that knows it: its bits go as integers.
        plain = value if value.dtype.kind in "biufc" else value.view(np.dtype(f"u{value.dtype.itemsize}"))
        arrays.append(plain)
        return {_ARRAY: len(arrays) - 1, "dtype": value.dtype.name}
    return value


def _with_arrays(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    if isinstance(value, dict) and _ARRAY in value:
        array = arrays[f"array_{value[_ARRAY]}"]
        return array if array.dtype.name == value["dtype"] else array.view(_named(value["dtype"]))
    if isinstance(value, dict):
        return {key: _with_arrays(entry, arrays) for key, entry in value.items()}
    if isinstance(value, list):
        return [_with_arrays(entry, arrays) for entry in value]
    return value


def _named(name: str) -> np.dtype:
    import ml_dtypes

    return np.dtype(getattr(ml_dtypes, name))


def mismatches(saved: list[dict[str, Any]], variables: list[Any]) -> Iterator[str]:
    """Say where saved values do not fit the variables of a model."""
    if len(saved) != len(variables):
        yield f"it has {len(saved)} variables, and the model {len(variables)}"
    for entry, variable in zip(saved, variables, strict=False):
        if tuple(entry["value"].shape) != tuple(variable.shape):
            yield f"{variable.path} has shape {tuple(variable.shape)}, and in the file {tuple(entry['value'].shape)}"
