"""`keras-nnx check`."""

from __future__ import annotations

import typer

from keras_nnx.cli._models import Inputs, Model, Modules, Unsafe, load, read_inputs
from keras_nnx.cli.export import Format, Formats


def command(
    model: Model,
    formats: Formats = None,
    inputs: Inputs = None,
    modules: Modules = None,
    unsafe: Unsafe = False,
) -> None:
    """Say what stands in the way of an export, before the training: the layer, the operator and a remedy.

    The model need not be trained. It is converted for each format, and nothing is kept or proven.

    Example: keras-nnx check untrained.keras --format tflite
    """
    from keras_nnx.export import check_exportable

    chosen = tuple(entry.value for entry in formats or Format)
    loaded = load(model, modules, unsafe=unsafe)
    findings = check_exportable(loaded, formats=chosen, input_signature=read_inputs(loaded, inputs))
    for finding in findings:
        typer.echo(str(finding))
    if findings:
        raise typer.Exit(1)
    typer.echo(f"Nothing stands in the way of {', '.join(chosen)}. The proof comes with the export.")
