"""The export engine: signature, lowering, conversion, inspection, proof, report."""

from __future__ import annotations

import importlib.util

_MISSING = [
    package
    for package in ("tensorflow", "tf2onnx", "onnx", "onnxruntime", "ai_edge_litert", "ai_edge_quantizer")
    if importlib.util.find_spec(package) is None
]
if _MISSING:
    raise ImportError(f'keras_nnx.export needs {", ".join(_MISSING)}: run pip install "keras-nnx[export]".')

from keras_nnx.export.benchmark import benchmark_export  # noqa: E402
from keras_nnx.export.check import Finding, check_exportable  # noqa: E402
from keras_nnx.export.engine import export_model  # noqa: E402
from keras_nnx.export.errors import (  # noqa: E402
    CalibrationError,
    ConverterCrashError,
    ExportError,
    IntegrityError,
    InvalidArtifactError,
    OutputDirectoryError,
    ParityError,
    RuntimeFailureError,
    SignatureError,
    UnsupportedModelError,
    UnsupportedOperatorError,
)
from keras_nnx.export.loading import load_model  # noqa: E402
from keras_nnx.export.lowering import register_decomposition, register_lowering  # noqa: E402
from keras_nnx.export.overview import Inspection, inspect_export  # noqa: E402
from keras_nnx.export.proof.comparison import Parity  # noqa: E402
from keras_nnx.export.report import Artifact, ExportReport, Latency  # noqa: E402
from keras_nnx.export.signature import Signature, TensorSignature  # noqa: E402
from keras_nnx.export.streaming import export_streaming  # noqa: E402
from keras_nnx.export.verify import verify_export  # noqa: E402

__all__ = [
    "Artifact",
    "CalibrationError",
    "ConverterCrashError",
    "ExportError",
    "ExportReport",
    "Finding",
    "Inspection",
    "IntegrityError",
    "InvalidArtifactError",
    "Latency",
    "OutputDirectoryError",
    "Parity",
    "ParityError",
    "RuntimeFailureError",
    "Signature",
    "SignatureError",
    "TensorSignature",
    "UnsupportedModelError",
    "UnsupportedOperatorError",
    "benchmark_export",
    "check_exportable",
    "export_model",
    "export_streaming",
    "inspect_export",
    "load_model",
    "register_decomposition",
    "register_lowering",
    "verify_export",
]
