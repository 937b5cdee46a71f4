"""`keras-nnx inspect`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from keras_nnx.cli._models import Modules, Unsafe, import_all


def command(
    path: Annotated[
        Path,
        typer.Argument(
            help="A .keras file, a SavedModel directory, an .onnx or .tflite file, or an export directory.",
            show_default=False,
        ),
    ],
    json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
    modules: Modules = None,
    unsafe: Unsafe = False,
) -> None:
    """Say what a model or an artifact takes, returns and consists of, without running it.

    Example: keras-nnx inspect build/model/model.onnx
    """
    from keras_nnx.export import inspect_export

    import_all(modules)
    found = inspect_export(path, safe_mode=not unsafe)
    typer.echo(found.to_json() if json else str(found))
