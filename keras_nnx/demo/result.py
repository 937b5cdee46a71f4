"""What a run of the demonstration found, as one record for both reports."""

from __future__ import annotations

import dataclasses
from typing import Any

from keras_nnx.demo.evaluation import Mistake
from keras_nnx.export.report import Artifact, ExportReport

FORMAT = "keras_nnx.demo"
CONTENTS = {
    "report.html": "this page",
    "report.json": "the same, for programs",
    "model.keras": "the trained model; it takes pixels of 0 to 255",
    "float32/": "SavedModel, ONNX and TFLite in float32, with their manifest",
    "int8/": "ONNX and TFLite in int8, with their manifest",
    "samples/": "ten test digits as pictures, to try the artifacts on",
}


@dataclasses.dataclass(frozen=True)
class DemoResult:
    """Everything that the reports show.

    Args:
        title: Heading of the page.
        command: How to run it again.
        configuration: Settings of the run.
        environment: Versions and machine.
        data: Name, labels and split sizes of the data set.
        parameters: Number of weights.
        curves: One value an epoch, by metric.
        best_epoch: The epoch, counted from 1, whose weights were kept.
        accuracy: Of the Keras model on the test split.
        confusion: Counts by true and predicted class.
        wrong: All mistakes on the test split, the surest first.
        exports: Export reports by precision.
        artifacts: Every artifact with its test accuracy.
        seconds: Time of each stage.
    """

    title: str
    command: str
    configuration: dict[str, Any]
    environment: dict[str, str]
    data: dict[str, Any]
    parameters: int
    curves: dict[str, list[float]]
    best_epoch: int
    accuracy: float
    confusion: list[list[int]]
    wrong: list[Mistake]
    exports: dict[str, ExportReport]
    artifacts: list[tuple[Artifact, float]]
    seconds: dict[str, float]

    @property
    def proven(self) -> int:
        """Number of artifacts that were proven."""
        return sum(1 for artifact, _ in self.artifacts if artifact.parity is not None and artifact.parity.passed)

    def to_dict(self) -> dict[str, Any]:
        """Return the record in types that JSON knows; `format` marks the folder as ours."""
        labels = self.data["labels"]
        return {
            "format": FORMAT,
            "format_version": 1,
            "command": self.command,
            "configuration": self.configuration,
            "environment": self.environment,
            "data": self.data,
            "parameters": self.parameters,
            "curves": self.curves,
            "best_epoch": self.best_epoch,
            "test_accuracy": self.accuracy,
            "confusion_matrix": self.confusion,
            "mistakes": [
                {"expected": labels[m.expected], "predicted": labels[m.predicted], "score": m.score} for m in self.wrong
            ],
            "artifacts": [
                {
                    "precision": artifact.precision,
                    "format": artifact.format,
                    "path": f"{artifact.path.parent.name}/{artifact.path.name}",
                    "test_accuracy": accuracy,
                    **{
                        key: value
                        for key, value in artifact.to_dict().items()
                        if key in ("sha256", "size_bytes", "operators", "float_operators", "parity", "latency_ms")
                    },
                }
                for artifact, accuracy in self.artifacts
            ],
            "seconds": self.seconds,
        }
