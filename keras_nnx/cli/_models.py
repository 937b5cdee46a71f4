"""The model that a subcommand is about, and how it is loaded."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
Inputs = Annotated[
    list[str] | None,
    typer.Option(
        "--input",
        metavar="NAME:DTYPE[SIZES]",
        help="An input that the model does not know, or is to be narrowed, such as image:float32[1,224,224,3]; a name "
        "or a question mark is a size that may change. May be given several times.",
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


def read_inputs(model: keras.Model, inputs: Sequence[str] | None) -> Any:
    """Return what `--input` says as an input signature, or None if it was not given.

    Raises:
        typer.BadParameter: If one cannot be read.
        SignatureError: If the model has no input of that name.
    """
    if not inputs:
        return None
    import keras

    from keras_nnx.export.signature import narrowed

    wanted = {}
    for text in inputs:
        found = re.fullmatch(r"(?:([^:\[\]]+):)?([a-z]+\d*)\[([^\[\]]*)\]", text.replace(" ", ""))
        if found is None:
            raise typer.BadParameter(
                f"{text!r} is not understood: write NAME:DTYPE[SIZES], such as image:float32[batch,224,224,3].",
                param_hint="--input",
            )
        name, dtype, sizes = found.groups()
        shape = tuple(int(size) if size.isdigit() else None for size in sizes.split(",") if size)
        try:
            wanted[name or "input"] = keras.KerasTensor(shape, dtype, name=name or "input")
        except (ValueError, TypeError) as error:
            raise typer.BadParameter(f"{text!r}: {error}", param_hint="--input") from error
    return narrowed(model, wanted)


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
