"""`keras-nnx verify`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(directory: Annotated[Path, typer.Argument(help="An export directory.", show_default=False)]) -> None:
    """Check an export made earlier: file hashes, signatures, and the answers to the stored probes in every runtime.

    The model is not needed. Run it after copying artifacts, and after an update of a runtime.

    Example: keras-nnx verify build/model
    """
    from keras_nnx.export import verify_export

    typer.echo(str(verify_export(directory)))
    typer.echo("Every file is the one that was exported, and answers as the model did.")
