"""`keras-nnx doctor`."""

from __future__ import annotations

import importlib.metadata
import os
import platform

import typer
from rich.console import Console
from rich.table import Table

from keras_nnx._version import __version__

_EXTRAS = {
    "tensorflow": ("tensorflow",),
    "export": ("tf2onnx", "onnx", "onnxruntime", "ai-edge-litert", "ai-edge-quantizer"),
    "data": ("tensorflow-datasets", "scikit-learn"),
    "tune": ("keras-tuner", "tensorboard", "scipy"),
    "optuna": ("optuna",),
    "plot": ("matplotlib", "jinja2"),
}


def command() -> None:
    """Show versions, missing extras, processors and accelerators; exits with 1 if an extra is missing.

    Put its output into a report of a problem.
    """
    import keras

    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_row("keras_nnx", __version__)
    table.add_row("python", f"{platform.python_version()}, {platform.system()} {platform.machine()}")
    table.add_row("processors", str(os.cpu_count()))
    table.add_row("keras", f"{keras.__version__}, backend {keras.backend.backend()}")
    missing = {}
    for extra, packages in _EXTRAS.items():
        found = {package: _version(package) for package in packages}
        table.add_row(extra, ", ".join(f"{name} {version or 'MISSING'}" for name, version in found.items()))
        if None in found.values():
            missing[extra] = [name for name, version in found.items() if version is None]
    table.add_row("accelerators", _accelerators())
    Console().print(table)
    for extra in missing:
        typer.echo(f'To get the extra "{extra}": pip install "keras-nnx[{extra}]"')
    if missing:
        raise typer.Exit(1)


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _accelerators() -> str:
    if _version("tensorflow") is None:
        return "unknown without TensorFlow"
    import tensorflow as tf

    devices = [device.name for device in tf.config.list_physical_devices() if device.device_type != "CPU"]
    return ", ".join(devices) or "none that TensorFlow sees"
