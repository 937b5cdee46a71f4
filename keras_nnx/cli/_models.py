"""The model that a subcommand is about, and how it is loaded."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import keras

Model = Annotated[
    Path, typer.Argument(help="A .keras file, or a SavedModel directory with a signature.", show_default=False)
]
Modules = Annotated[
    list[str] | None,
    typer.Option(
        "--import",
        metavar="MODULE",
        help="A Python module with the model's own layers, imported first; may be given several times.",
        show_default=False,
    ),
]
Unsafe = Annotated[
    bool, typer.Option("--unsafe", help="Leave the safe mode: run code that the model brings along. Own files only.")
]


def load(path: Path, modules: Sequence[str] | None, *, unsafe: bool) -> keras.Model:
    """Import `modules` and load the model.

    Raises:
        typer.BadParameter: If there is no such module.
        ExportError: If the model cannot be loaded.
    """
    from keras_nnx.export import load_model

    import_all(modules)
    return load_model(path, safe_mode=not unsafe)


def import_all(modules: Sequence[str] | None) -> None:
    """Import `modules`, which may lie in the current folder.

    Raises:
        typer.BadParameter: If there is no such module.
    """
    here = str(Path.cwd())
    if modules and here not in sys.path:
        sys.path.insert(0, here)
    for name in modules or ():
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            raise typer.BadParameter(
                f"{error}: name a module that Python finds from {here} or among the installed ones, without .py.",
                param_hint="--import",
            ) from error
