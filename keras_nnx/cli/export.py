"""`keras-nnx export`."""

from __future__ import annotations

import zipfile
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer


class Format(StrEnum):
    """Target formats."""

    saved_model = "saved_model"
    onnx = "onnx"
    tflite = "tflite"


class Precision(StrEnum):
    """Precisions."""

    float32 = "float32"
    int8 = "int8"


Formats = Annotated[
    list[Format] | None,
    typer.Option(
        "--format",
        metavar="FORMAT",
        help="saved_model, onnx or tflite; may be given several times.",
        show_default="all",
    ),
]


def command(
    model: Annotated[Path, typer.Argument(help="A .keras file.", show_default=False)],
    directory: Annotated[Path, typer.Argument(help="Where the artifacts go.", show_default=False)],
    formats: Formats = None,
    precision: Annotated[Precision, typer.Option(help="int8 applies to ONNX and TFLite.")] = Precision.float32,
    calibration: Annotated[
        Path | None,
        typer.Option(help="A .npy file with real inputs, or a .npz with one array for each input, for int8."),
    ] = None,
    labels: Annotated[Path | None, typer.Option(help="A text file with one class name a line.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier export in the directory.")] = False,
) -> None:
    """Export a .keras file, and prove every artifact in its own runtime.

    The file is loaded in Keras's safe mode: code that is stored in it does not run.

    Example: keras-nnx export model.keras build/model --format onnx --labels labels.txt
    """
    from keras_nnx.export import export_model

    trained = load(model)

    samples = None
    if calibration is not None:
        samples = _read_arrays(calibration)
    report = export_model(
        trained,
        directory,
        formats=tuple(chosen.value for chosen in formats or Format),
        precision=precision.value,
        calibration=samples,
        labels=_read_labels(labels) if labels else None,
        overwrite=overwrite,
    )
    typer.echo(str(report))


def load(path: Path) -> Any:
    """Load a .keras file in Keras's safe mode."""
    import keras

    from keras_nnx.export import ExportError

    if not path.is_file() or not zipfile.is_zipfile(path):
        raise ExportError(f"{path} is no .keras file: name one that model.save() wrote.")
    try:
        return keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:
        raise ExportError(f"{path} cannot be loaded: {type(error).__name__}: {error}") from error


def _read_labels(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no text file in UTF-8: {error}.") from error


def _read_arrays(path: Path) -> Any:
    import numpy as np

    from keras_nnx.export import CalibrationError

    try:
        with path.open("rb") as file:
            loaded = np.load(file, allow_pickle=False)
            return loaded if isinstance(loaded, np.ndarray) else {name: loaded[name] for name in loaded.files}
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise CalibrationError(f"{path} is no .npy or .npz file of plain arrays.") from error
