"""The demonstration from data to report."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from rich.console import Console

from keras_nnx import data as datasets
from keras_nnx._html import render
from keras_nnx._tables import artifact_table
from keras_nnx.demo import evaluation, pictures, training
from keras_nnx.demo.configuration import Configuration
from keras_nnx.demo.result import CONTENTS, FORMAT, DemoResult
from keras_nnx.export.directories import staged_directory
from keras_nnx.export.engine import export_model
from keras_nnx.export.manifest import foreign_entry, has_format, versions
from keras_nnx.export.report import ExportReport
from keras_nnx.export.workers import shared_worker

if TYPE_CHECKING:
    from keras_nnx.data import DataPipelines

REPORT = "report.json"
TITLES = {"vit": "Vision transformer", "resnet": "Residual network"}
_CALIBRATION_BATCHES = 6


def run_demo(configuration: Configuration, console: Console) -> DemoResult:
    """Train on the digits, export, prove, and write everything to `configuration.out`, complete or not at all.

    Args:
        configuration: What to do.
        console: Where progress goes.

    Raises:
        ExportError: If the output directory is refused, or an artifact is wrong.
    """
    seconds: dict[str, float] = {}
    keras.utils.set_random_seed(configuration.seed)
    with (
        staged_directory(configuration.out, overwrite=configuration.overwrite, foreign=_foreign_entry) as stage,
        shared_worker(),
    ):
        with _stage(console, "1/4 Data: the digits that scikit-learn bundles, as a TFDS data set", "data", seconds):
            pipelines = datasets.load(
                "digits", batch_size=configuration.batch_size, augment="affine", seed=configuration.seed
            )
        with _stage(
            console, f"2/4 Training the {TITLES[configuration.model].lower()}, compiled by XLA", "training", seconds
        ):
            classifier = training.build_classifier(configuration, pipelines)
            curves = training.train(classifier, pipelines, configuration, verbose=1 if console.is_terminal else 2)
            best = int(np.argmin(curves["val_loss"])) + 1
            console.print(f"  kept the weights of epoch {best} of {len(curves['loss'])}", style="dim", highlight=False)
            model = training.deployable(classifier, pipelines)
            model.save(stage / "model.keras")
        with _stage(console, "3/4 Exporting in float32 and int8, and proving each file", "export", seconds):
            exports = _export(model, pipelines, stage)
        with _stage(console, "4/4 Testing Keras and every artifact on the test digits", "evaluation", seconds):
            result = _evaluate(configuration, model, pipelines, curves, exports, seconds)
        _write(stage, result, pipelines)
    console.print(artifact_table([row for row, _ in result.artifacts], [value for _, value in result.artifacts]))
    console.print(f"Keras model: {result.accuracy:.2%} of the test digits.", highlight=False)
    return result


@contextlib.contextmanager
def _stage(console: Console, title: str, name: str, seconds: dict[str, float]) -> Iterator[None]:
    console.print(f"[bold]{title}[/bold]", highlight=False)
    start = time.perf_counter()
    yield
    seconds[name] = time.perf_counter() - start
    console.print(f"  done in {seconds[name]:.1f} s", style="dim", highlight=False)


def _export(model: keras.Model, pipelines: DataPipelines, stage: Path) -> dict[str, ExportReport]:
    calibration = pipelines.raw("train").take(_CALIBRATION_BATCHES)
    labels = pipelines.info.labels
    return {
        "float32": export_model(model, stage / "float32", calibration=calibration, labels=labels),
        "int8": export_model(
            model,
            stage / "int8",
            formats=("onnx", "tflite"),
            precision="int8",
            calibration=calibration,
            labels=labels,
        ),
    }


def _evaluate(
    configuration: Configuration,
    model: keras.Model,
    pipelines: DataPipelines,
    curves: dict[str, list[float]],
    exports: dict[str, ExportReport],
    seconds: dict[str, float],
) -> DemoResult:
    images, labels = evaluation.test_arrays(pipelines.raw("test"))
    scores = evaluation.model_scores(model, images)
    artifacts = []
    for report in exports.values():
        names = report.signature.inputs[0].name, report.signature.outputs[0].name
        for artifact in report.artifacts.values():
            found = evaluation.artifact_scores(artifact, images, *names)
            artifacts.append((artifact, evaluation.accuracy(found, labels)))
    return DemoResult(
        title=f"{TITLES[configuration.model]} on handwritten digits",
        command=f"keras-nnx demo --model {configuration.model} --epochs {configuration.epochs} "
        f"--seed {configuration.seed}",
        configuration=configuration.to_dict(),
        environment=_environment(),
        data={
            "name": pipelines.info.name,
            "labels": list(pipelines.info.labels),
            "sizes": pipelines.info.sizes._asdict(),
        },
        parameters=int(model.count_params()),
        curves=curves,
        best_epoch=int(np.argmin(curves["val_loss"])) + 1,
        accuracy=evaluation.accuracy(scores, labels),
        confusion=evaluation.confusion_matrix(scores, labels),
        wrong=evaluation.mistakes(scores, labels, images),
        exports=exports,
        artifacts=artifacts,
        seconds=seconds,
    )


def _write(stage: Path, result: DemoResult, pipelines: DataPipelines) -> None:
    labels = pipelines.info.labels
    shown = [
        {
            "picture": pictures.picture_address(mistake.pixels),
            "expected": labels[mistake.expected],
            "predicted": labels[mistake.predicted],
            "score": mistake.score,
        }
        for mistake in result.wrong[: evaluation.MOST_MISTAKES]
    ]
    page = render(
        "demo.html.jinja",
        result=_PageView(result, shown),
        curves_svg=pictures.curves_svg(result.curves, result.best_epoch),
    )
    (stage / "report.html").write_text(page, encoding="utf-8")
    (stage / REPORT).write_text(json.dumps(result.to_dict(), indent=2) + "\n", encoding="utf-8")
    folder = stage / "samples"
    folder.mkdir()
    images, classes = evaluation.test_arrays(pipelines.raw("test"))
    for label in range(len(labels)):
        first = int(np.flatnonzero(classes == label)[0])
        (folder / f"digit_{label}.png").write_bytes(pictures.picture_png(images[first]))


class _PageView:
    """The result as the page's template reads it: with the mistakes that are shown, as pictures."""

    def __init__(self, result: DemoResult, shown: list[dict[str, Any]]) -> None:
        self._result = result
        self.mistakes = shown
        self.mistake_count = len(result.wrong)
        self.contents = CONTENTS

    def __getattr__(self, name: str) -> Any:
        return getattr(self._result, name)


def _environment() -> dict[str, str]:
    return {
        **versions(),
        "system": f"{platform.system()} {platform.machine()}",
        "processors": str(len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count()),
    }


def _foreign_entry(directory: Path) -> str | None:
    """Return the name of something in `directory` that no demonstration wrote, or None."""
    if not has_format(directory / REPORT, FORMAT):
        return min(path.name for path in directory.iterdir())
    known = {name.rstrip("/") for name in CONTENTS}
    inside = {path.relative_to(directory).as_posix() for path in (directory / "samples").glob("*")}
    samples = {f"samples/digit_{label}.png" for label in range(10)}
    unknown = ({path.name for path in directory.iterdir()} - known) | (inside - samples)
    for precision in ("float32", "int8"):
        entry = foreign_entry(directory / precision) if (directory / precision).is_dir() else None
        unknown |= {f"{precision}/{entry}"} if entry is not None else set()
    return min(unknown, default=None)
