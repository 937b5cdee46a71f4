"""Stage 6: what was exported, what was proven, and how fast and large it is."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from keras_nnx.export.proof.comparison import Parity
from keras_nnx.export.signature import Signature

STREAMING = "streaming"
"""The key under which the metadata say how to feed a step model."""


@dataclasses.dataclass(frozen=True)
class Latency:
    """Time of one call with a batch of one (or the model's fixed batch), on one thread.

    Args:
        median: In milliseconds.
        p95: The 95th percentile, in milliseconds.
        runs: Number of calls that were timed.
    """

    median: float
    p95: float
    runs: int


@dataclasses.dataclass(frozen=True)
class Artifact:
    """One exported file or directory.

    Args:
        format: `"saved_model"`, `"onnx"` or `"tflite"`.
        path: Where it is.
        precision: `"float32"`, `"float16"`, `"int8_dynamic"` or `"int8"`.
        sha256: Of the file; of a directory, of the sorted list of its files with their hashes.
        size_bytes: All files together.
        files: Hash of each file, by its name within the export directory.
        operators: Operators of the file, with their counts.
        float_operators: In an int8 file, those that compute in float.
        kept_in_float: In an int8 file, the layers that were left out of it to reach the floor, the costliest first.
        parity: How its answers compare to the model's; None if the proof was not asked for.
        stream: Of a step model, how its answers to sequences in chunks compare to the model's answers to the whole:
            proven in float32, measured (`bound="measured"`) in lower precision; else None.
        latency_ms: How long a call takes, which of a step model is one step; None if the proof was not asked for.
    """

    format: str
    path: Path
    precision: str
    sha256: str
    size_bytes: int
    files: dict[str, str]
    operators: dict[str, int]
    float_operators: dict[str, int] | None = None
    kept_in_float: tuple[str, ...] = ()
    parity: Parity | None = None
    latency_ms: Latency | None = None
    stream: Parity | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the fields in types that JSON knows; the path is its last part."""
        return {**dataclasses.asdict(self), "path": self.path.name}


@dataclasses.dataclass(frozen=True)
class ExportReport:
    """The result of an export or of a verification.

    Args:
        directory: The export directory.
        model: Name of the model.
        parameters: Number of its weights.
        precision: What was asked for.
        signature: Inputs and outputs, the same in all formats.
        labels: Names of the classes, or none.
        metadata: What the caller gave.
        versions: Of everything that took part.
        artifacts: By format.
        notes: What else is worth knowing.
    """

    directory: Path
    model: str
    parameters: int
    precision: str
    signature: Signature
    labels: tuple[str, ...]
    metadata: dict[str, Any]
    versions: dict[str, str]
    artifacts: dict[str, Artifact]
    notes: tuple[str, ...] = ()

    @property
    def proven(self) -> bool:
        """Whether every artifact was run in its runtime and agreed with the model."""
        parities = [artifact.parity for artifact in self.artifacts.values()]
        return bool(parities) and all(parity is not None and parity.passed for parity in parities)

    @property
    def streaming(self) -> dict[str, Any] | None:
        """How to feed a step model, as `export_streaming` says in the metadata; None of other exports."""
        return self.metadata.get(STREAMING)

    @property
    def timed_call(self) -> str:
        """What a call is whose time is given: a step, or a chunk of a fixed number of them; `""` of other exports."""
        if self.streaming is None:
            return ""
        chunk = self.streaming["chunk"]
        return "step" if chunk in (None, 1) else f"{chunk} steps"

    def to_dict(self) -> dict[str, Any]:
        """Return the report in types that JSON knows."""
        return {
            "model": self.model,
            "parameters": self.parameters,
            "precision": self.precision,
            "signature": self.signature.to_dict(),
            "labels": list(self.labels),
            "metadata": self.metadata,
            "versions": self.versions,
            "artifacts": {name: artifact.to_dict() for name, artifact in self.artifacts.items()},
            "notes": list(self.notes),
        }

    @classmethod
    def from_dict(cls, directory: Path, values: dict[str, Any]) -> ExportReport:
        """Return the report that `to_dict` wrote, for artifacts in `directory`."""
        from keras_nnx.export.manifest import ARTIFACT_NAMES

        artifacts = {}
        for name, row in values["artifacts"].items():
            artifacts[name] = Artifact(
                **{
                    **row,
                    "path": directory / ARTIFACT_NAMES[name],
                    "kept_in_float": tuple(row["kept_in_float"]),
                    "parity": Parity(**row["parity"]) if row["parity"] else None,
                    "stream": Parity(**row["stream"]) if row.get("stream") else None,
                    "latency_ms": Latency(**row["latency_ms"]) if row["latency_ms"] else None,
                }
            )
        return cls(
            directory=directory,
            model=values["model"],
            parameters=values["parameters"],
            precision=values["precision"],
            signature=Signature.from_dict(values["signature"]),
            labels=tuple(values["labels"]),
            metadata=values["metadata"],
            versions=values["versions"],
            artifacts=artifacts,
            notes=tuple(values["notes"]),
        )

    def to_json(self, path: str | Path | None = None) -> str:
        """Return the report as JSON, and write it to `path` if one is given."""
        text = json.dumps(self.to_dict(), indent=2)
        if path is not None:
            Path(path).write_text(text + "\n", encoding="utf-8")
        return text

    def to_html(self, path: str | Path | None = None) -> str:
        """Return the report as one page that loads nothing from elsewhere, and write it to `path` if one is given.

        Raises:
            ImportError: If jinja2 is missing.
        """
        from keras_nnx._html import render

        text = render("export.html.jinja", report=self)
        if path is not None:
            Path(path).write_text(text, encoding="utf-8")
        return text

    def __str__(self) -> str:
        from rich.console import Console

        from keras_nnx._tables import artifact_table

        console = Console(width=110, color_system=None, file=None, record=False)
        with console.capture() as capture:
            console.print(f"{self.model}, {self.precision}, in {self.directory}", highlight=False, markup=False)
            console.print(artifact_table(list(self.artifacts.values()), timed_call=self.timed_call))
            for note in self.notes:
                console.print(note, highlight=False, markup=False)
        return capture.get().rstrip()
