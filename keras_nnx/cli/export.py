"""`keras-nnx export`."""

from __future__ import annotations

import functools
import zipfile
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from keras_nnx.cli._models import Inputs, Model, Modules, Unsafe, load, read_inputs


class Format(StrEnum):
    """Target formats."""

    saved_model = "saved_model"
    onnx = "onnx"
    tflite = "tflite"


class Precision(StrEnum):
    """Precisions."""

    float32 = "float32"
    float16 = "float16"
    int8_dynamic = "int8_dynamic"
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
    model: Model,
    directory: Annotated[Path, typer.Argument(help="Where the artifacts go.", show_default=False)],
    formats: Formats = None,
    precision: Annotated[
        Precision,
        typer.Option(
            help="float16 and int8_dynamic make the weights smaller, int8 the activations too (needs samples)."
        ),
    ] = Precision.float32,
    calibration: Annotated[
        Path | None,
        typer.Option(help="A .npy file with real inputs, or a .npz with one array for each input, for int8."),
    ] = None,
    floor: Annotated[
        float | None,
        typer.Option(
            "--sqnr-floor-db",
            help="The least signal-to-noise ratio in dB; int8 keeps the fewest layers in float for it.",
        ),
    ] = None,
    opset: Annotated[int | None, typer.Option(help="The ONNX opset.", show_default="the oldest that will do")] = None,
    allow_flex: Annotated[
        bool,
        typer.Option("--allow-flex", help="Let a TFLite file hold operators of TensorFlow; it is not proven then."),
    ] = False,
    labels: Annotated[Path | None, typer.Option(help="A text file with one class name a line.")] = None,
    tolerance: Annotated[
        float | None,
        typer.Option(help="Allowed difference in float32, times max(1, |reference|).", show_default="1e-5"),
    ] = None,
    streaming: Annotated[
        bool,
        typer.Option("--streaming", help="Export a step model: it is fed in chunks, and its states go in and out."),
    ] = False,
    chunk: Annotated[
        int | None, typer.Option(help="With --streaming, the steps of each chunk.", show_default="any number")
    ] = None,
    inputs: Inputs = None,
    modules: Modules = None,
    unsafe: Unsafe = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier export in the directory.")] = False,
) -> None:
    """Export a model, and prove every artifact in its own runtime.

    The file is loaded in safe mode: code that is stored in it does not run.

    Example: keras-nnx export model.keras build/model --format onnx --labels labels.txt
    """
    from keras_nnx.export import export_model, export_streaming

    if chunk is not None and not streaming:
        raise ValueError("--chunk is the number of steps in a chunk of a step model: it needs --streaming.")
    loaded = load(model, modules, unsafe=unsafe)
    export = functools.partial(export_streaming, chunk=chunk) if streaming else export_model
    report = export(
        loaded,
        directory,
        formats=tuple(chosen.value for chosen in formats or Format),
        precision=precision.value,
        input_signature=read_inputs(loaded, inputs),
        calibration=None if calibration is None else _read_arrays(calibration),
        sqnr_floor_db=floor,
        opset=opset,
        allow_flex=allow_flex,
        labels=_read_labels(labels) if labels else None,
        tolerance=tolerance,
        overwrite=overwrite,
    )
    typer.echo(str(report))


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
