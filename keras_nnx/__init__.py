"""Layers that deploy: Keras 3 building blocks, and exports that are proven in the target's own runtime.

`import keras_nnx as nnx` brings layers, blocks and models, whose names Keras has to know. Callbacks, metrics and
everything that needs an extra (`nnx.data`, `nnx.export`, `nnx.export_model`, ...) are imported on first use.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING, Any

from keras_nnx._version import __version__

# The command prints its help without waiting for TensorFlow. In a program, the layers are imported here and now, so
# that Keras knows their names when it loads a model.
_AS_COMMAND = os.path.basename((getattr(sys, "argv", None) or [""])[0]) in ("keras-nnx", "-m")  # noqa: PTH119
if TYPE_CHECKING or not _AS_COMMAND:
    import keras

    from keras_nnx import _runs, blocks, layers, losses, models, optimizers, schedules

    _runs.wrap_fit()
    if keras.backend.backend() == "tensorflow":  # what trains two networks is written in it
        from keras_nnx import training

if TYPE_CHECKING:
    from keras_nnx import callbacks, data, export, metrics, tuning
    from keras_nnx.export import (
        benchmark_export,
        check_exportable,
        export_model,
        export_streaming,
        inspect_export,
        verify_export,
    )

__all__ = [
    "__version__",
    "benchmark_export",
    "blocks",
    "callbacks",
    "check_exportable",
    "data",
    "export",
    "export_model",
    "export_streaming",
    "inspect_export",
    "layers",
    "losses",
    "metrics",
    "models",
    "optimizers",
    "schedules",
    "training",
    "tuning",
    "verify_export",
]

_LAZY_ROOMS = (
    "blocks",
    "callbacks",
    "data",
    "export",
    "layers",
    "losses",
    "metrics",
    "models",
    "optimizers",
    "schedules",
    "training",
    "tuning",
)
_LAZY_FUNCTIONS = {
    "benchmark_export": "keras_nnx.export",
    "check_exportable": "keras_nnx.export",
    "export_model": "keras_nnx.export",
    "export_streaming": "keras_nnx.export",
    "inspect_export": "keras_nnx.export",
    "verify_export": "keras_nnx.export",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY_ROOMS:
        return importlib.import_module(f"keras_nnx.{name}")
    if name in _LAZY_FUNCTIONS:
        return getattr(importlib.import_module(_LAZY_FUNCTIONS[name]), name)
    raise AttributeError(f"module 'keras_nnx' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
