"""`keras-nnx check`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from keras_nnx.cli.export import Format, Formats, load


def command(
    model: Annotated[Path, typer.Argument(help="A .keras file; it need not be trained.", show_default=False)],
    formats: Formats = None,
) -> None:
    """Say what stands in the way of an export, before the training: the layer, the operator and a remedy.

    The model is converted for each format, and nothing is kept or proven.

    Example: keras-nnx check untrained.keras --format tflite
    """
    from keras_nnx.export import check_exportable

    chosen = tuple(entry.value for entry in formats or Format)
    findings = check_exportable(load(model), formats=chosen)
    for finding in findings:
        typer.echo(str(finding))
    if findings:
        raise typer.Exit(1)
    typer.echo(f"Nothing stands in the way of {', '.join(chosen)}. The proof comes with the export.")
