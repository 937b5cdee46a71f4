"""The files of an export directory and the record that binds them together."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from keras_nnx._version import __version__
from keras_nnx.export.arguments import Options
from keras_nnx.export.errors import IntegrityError
from keras_nnx.export.proof.probes import Probe
from keras_nnx.export.proof.reference import Reference
from keras_nnx.export.report import ExportReport

FORMAT = "keras_nnx.export"
FORMAT_VERSION = 2
ARTIFACT_NAMES = {"saved_model": "saved_model", "onnx": "model.onnx", "tflite": "model.tflite"}
MANIFEST, PROBES, LABELS = "manifest.json", "probes.npz", "labels.txt"
_PACKAGES = ("keras", "tensorflow", "tf2onnx", "onnx", "onnxruntime", "ai-edge-litert", "ai-edge-quantizer", "numpy")


def versions() -> dict[str, str]:
    """Return the versions of everything that takes part in an export."""
    found = {"keras_nnx": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        found[package] = importlib.metadata.version(package)
    return found


def foreign_entry(directory: Path) -> str | None:
    """Return the name of an entry of `directory` that no export wrote, or None if it is an export and nothing else."""
    values = _read_json(directory / MANIFEST)
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        return min(path.name for path in directory.iterdir())
    try:
        known = {MANIFEST, PROBES, LABELS} | {name for row in values["artifacts"].values() for name in row["files"]}
    except (AttributeError, KeyError, TypeError):
        return MANIFEST
    found = _entries(directory)
    return min(found - known - _parents(known), default=None)


def has_format(path: Path, expected: str) -> bool:
    """Return whether the JSON file at `path` calls itself `expected`."""
    values = _read_json(path)
    return isinstance(values, dict) and values.get("format") == expected


def _read_json(path: Path) -> Any:
    """Return what a JSON file holds; None if it holds no JSON or cannot be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


def _entries(directory: Path) -> set[str]:
    """Return the relative names of everything in `directory`, links not followed."""
    return {path.relative_to(directory).as_posix() for path in directory.rglob("*")}


def _parents(names: Iterable[str]) -> set[str]:
    """Return the directories that `names` lie in."""
    return {parent.as_posix() for name in names for parent in PurePosixPath(name).parents} - {"."}


def hash_files(directory: Path, relative: str) -> tuple[str, int, dict[str, str]]:
    """Return the hash, the size in bytes and the hash of each file of the artifact `relative` in `directory`."""
    path = directory / relative
    weights = directory / f"{relative}.data"  # of an ONNX file that is too large for one
    if path.is_file():
        paths = [path, weights] if weights.is_file() else [path]
    else:
        paths = sorted(entry for entry in path.rglob("*") if entry.is_file())
    files = {entry.relative_to(directory).as_posix(): _sha256(entry) for entry in paths}
    size = sum(entry.stat().st_size for entry in paths)
    if len(files) == 1 and path.is_file():
        return files[relative], size, files
    listing = "".join(f"{digest}  {name}\n" for name, digest in files.items())
    return hashlib.sha256(listing.encode()).hexdigest(), size, files


def write_manifest(directory: Path, report: ExportReport, references: list[Reference], options: Options) -> None:
    """Write the probes, the labels and the manifest of a finished export."""
    arrays: dict[str, np.ndarray] = {}
    rows = []
    for index, reference in enumerate(references):
        arrays |= {f"{index}/input/{name}": value for name, value in reference.probe.inputs.items()}
        arrays |= {f"{index}/output/{name}": value for name, value in reference.outputs.items()}
        rows.append({"name": reference.probe.name, "noise": reference.noise})
    np.savez_compressed(directory / PROBES, **arrays)  # type: ignore[arg-type]
    if report.labels:
        (directory / LABELS).write_text("\n".join(report.labels) + "\n", encoding="utf-8")
    values = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        **report.to_dict(),
        "tolerance": options.tolerance,
        "sqnr_floor_db": options.sqnr_floor_db,
        "probes": {"sha256": _sha256(directory / PROBES), "rows": rows},
    }
    if report.labels:
        values["labels_sha256"] = _sha256(directory / LABELS)
    values["digest"] = _digest(values)
    (directory / MANIFEST).write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def read_manifest(directory: Path) -> dict[str, Any]:
    """Return the manifest of an export directory.

    Raises:
        IntegrityError: If there is none, or it is not one that this version reads.
    """
    path = directory / MANIFEST
    if not path.is_file():
        inside = sorted(found.parent.name for found in directory.glob(f"*/{MANIFEST}"))
        hint = f" Name one of the export directories in it: {', '.join(inside)}." if inside else ""
        raise IntegrityError(f"{directory} is no export directory: it has no {MANIFEST}.{hint}")
    values = _read_json(path)
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise IntegrityError(f"{path} is not the manifest of an export, or it is damaged.")
    if values.get("format_version") != FORMAT_VERSION:
        writers = values.get("versions")
        writer = writers.get("keras_nnx") if isinstance(writers, dict) else None
        raise IntegrityError(
            f"{path} has the format version {values.get('format_version')!r}; this is keras_nnx {__version__}, which "
            f"reads version {FORMAT_VERSION}. Install the version that wrote it: {writer or 'unknown'}."
        )
    if values.pop("digest", None) != _digest(values):
        raise IntegrityError(f"{path} was changed after the export: its digest is another.")
    try:
        report = ExportReport.from_dict(directory, values)
        complete = (
            report.artifacts
            and "sqnr_floor_db" in values
            and values["probes"]["rows"]
            and float(values["tolerance"]) > 0
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise IntegrityError(f"{path} is not the manifest of an export: {type(error).__name__}: {error}.") from error
    if not complete:
        raise IntegrityError(f"{path} names no artifact, no probe or no tolerance.")
    return values


def read_references(directory: Path, values: dict[str, Any]) -> list[Reference]:
    """Return the probes that were stored with the model's answers."""
    references = []
    with np.load(directory / PROBES, allow_pickle=False) as archive:
        for index, row in enumerate(values["probes"]["rows"]):
            sides: dict[str, dict[str, np.ndarray]] = {"input": {}, "output": {}}
            for key in archive.files:
                owner, side, name = key.split("/", 2)
                if owner == str(index):
                    sides[side][name] = archive[key]
            references.append(Reference(Probe(row["name"], sides["input"]), sides["output"], row["noise"]))
    return references


def check_integrity(directory: Path, values: dict[str, Any]) -> None:
    """Raise unless every file is there with the recorded hash, and no other file is.

    Raises:
        IntegrityError: Naming the file that is missing, added or changed.
    """
    expected = {PROBES: values["probes"]["sha256"]}
    for row in values["artifacts"].values():
        expected |= row["files"]
    if values["labels"]:
        expected[LABELS] = values["labels_sha256"]
    found = _entries(directory) - {MANIFEST} - _parents(expected)
    for kind, names in (("missing", set(expected) - found), ("not in the manifest", found - set(expected))):
        if names:
            raise IntegrityError(f"{directory}: {min(names)} is {kind}.")
    for name in (MANIFEST, *sorted(expected), *sorted(_parents(expected))):
        if (directory / name).is_symlink():
            raise IntegrityError(f"{directory}: {name} is a link, and was a file or directory when it was exported.")
    for name, digest in expected.items():
        if not (directory / name).is_file():
            raise IntegrityError(f"{directory}: {name} is no file, and was one when it was exported.")
        if _sha256(directory / name) != digest:
            raise IntegrityError(f"{directory}: the file {name} was changed after the export: its hash is another.")


def _digest(values: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
