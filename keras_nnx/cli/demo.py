"""`keras-nnx demo`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class DemoModel(StrEnum):
    """The models that the demonstration trains."""

    vit = "vit"
    resnet = "resnet"


def command(
    model: Annotated[DemoModel, typer.Option(help="What to train: a residual network or a vision transformer.")] = (
        DemoModel.resnet
    ),
    epochs: Annotated[
        int | None,
        typer.Option(
            min=1, help="At most so many passes over the training digits.", show_default="30 for resnet, 80 for vit"
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Directory for the report, the model and the artifacts.")] = Path(
        "keras_nnx_demo"
    ),
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Seed of weights, order and augmentation.")] = 0,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the result of an earlier demo in the directory.")
    ] = False,
) -> None:
    """Train on real handwritten digits, export to every format, prove each file, and write a report.

    It needs no network: the 1,797 digits come with scikit-learn. In the directory you find report.html, report.json,
    the trained model.keras, and SavedModel, ONNX and TFLite artifacts in float32 and int8.

    Example: keras-nnx demo --model vit --out vit_demo
    """
    from rich.console import Console

    from keras_nnx.demo.configuration import DEFAULT_EPOCHS, Configuration
    from keras_nnx.demo.run import run_demo

    configuration = Configuration(model.value, out, epochs or DEFAULT_EPOCHS[model.value], seed, overwrite)
    console = Console()
    run_demo(configuration, console)
    typer.echo(f"Report: {(out / 'report.html').resolve()}")
