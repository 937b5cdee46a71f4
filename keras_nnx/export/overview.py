"""What a file or directory is: a model, an artifact or an export, without running it."""

from __future__ import annotations

import collections
import dataclasses
import json
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from keras_nnx.export import inspection
from keras_nnx.export.errors import ExportError, InvalidArtifactError
from keras_nnx.export.loading import count_parameters, load_model
from keras_nnx.export.manifest import MANIFEST, read_manifest
from keras_nnx.export.signature import TensorSignature


@dataclasses.dataclass(frozen=True)
class Inspection:
    """What was found.

    Args:
        path: What was looked at.
        kind: `"model"`, `"onnx"`, `"tflite"` or `"export"`.
        inputs: Each with its name, shape (an unknown size is `"?"`) and dtype.
        outputs: The same.
        operators: Operators with their counts; of an export, by format and operator.
        details: What else there is to say, by name.
    """

    path: Path
    kind: str
    inputs: tuple[TensorSignature, ...]
    outputs: tuple[TensorSignature, ...]
    operators: dict[str, Any]
    details: dict[str, Any]

    def to_json(self) -> str:
        """Return it as JSON."""
        return json.dumps({**dataclasses.asdict(self), "path": str(self.path)}, indent=2)

    def __str__(self) -> str:
        lines = [f"{self.path}: {self.kind}"]
        lines += [f"  input   {row}" for row in self.inputs]
        lines += [f"  output  {row}" for row in self.outputs]
        lines += [
            f"  {name}: {_short(value)}" for name, value in self.details.items() if value not in (None, [], {}, "")
        ]
        lines += [f"  operators: {_short(self.operators)}"] if self.operators else []
        return "\n".join(lines)


def inspect_export(path: str | Path, *, safe_mode: bool = True) -> Inspection:
    """Say what a model, an artifact or an export directory takes, returns and consists of.

    Args:
        path: A `.keras` file, a SavedModel directory, an `.onnx` or `.tflite` file, or what `export_model` wrote.
        safe_mode: As in `nnx.export.load_model`.

    Returns:
        Its inputs, outputs and operators; `print` shows them.

    Raises:
        ExportError: If it is none of these.

    Example:
        >>> import tempfile, keras
        >>> import keras_nnx as nnx
        >>> model = keras.Sequential([keras.Input((4,), name="petals"), keras.layers.Dense(2)])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = nnx.export_model(model, folder + "/dense", formats=("onnx",))
        ...     nnx.inspect_export(folder + "/dense/model.onnx").inputs[0]
        TensorSignature(name='petals', shape=('batch', 4), dtype='float32')
    """
    path = Path(path)
    if (path / MANIFEST).is_file():
        return _inspect_directory(path)
    if path.suffix == ".onnx" and path.is_file():
        return _inspect_onnx(path)
    if path.suffix == ".tflite" and path.is_file():
        return _inspect_tflite(path)
    if path.is_file() and not zipfile.is_zipfile(path):
        raise ExportError(
            f"{path} is nothing that can be inspected: name a .keras file, a SavedModel directory, an .onnx or .tflite "
            f"file, or a directory that an export made."
        )
    return _inspect_model(path, safe_mode=safe_mode)


def _inspect_directory(path: Path) -> Inspection:
    values = read_manifest(path)
    signature, artifacts = values["signature"], values["artifacts"]
    return Inspection(
        path,
        "export",
        _tensors((row["name"], row["shape"], row["dtype"]) for row in signature["inputs"]),
        _tensors((row["name"], row["shape"], row["dtype"]) for row in signature["outputs"]),
        operators={name: row["operators"] for name, row in artifacts.items()},
        details={
            "model": values["model"],
            "parameters": values["parameters"],
            "precision": values["precision"],
            "artifacts": {
                name: {"bytes": row["size_bytes"], "proven": row["parity"] is not None}
                for name, row in artifacts.items()
            },
            "labels": values["labels"],
            "metadata": values["metadata"],
            "versions": values["versions"],
            "notes": values["notes"],
        },
    )


def _inspect_model(path: Path, *, safe_mode: bool) -> Inspection:
    from keras_nnx.export.engine import inference_only, program_of

    model = load_model(path, safe_mode=safe_mode)
    with inference_only(model), program_of(model, None) as program:
        signature = program.signature
    return Inspection(
        path,
        "model",
        signature.inputs,
        signature.outputs,
        operators={},
        details={
            "model": model.name,
            "parameters": count_parameters(model),
            "layers": _counted(type(layer).__name__ for layer in model._flatten_layers(include_self=False)),
            "policies": sorted({layer.dtype_policy.name for layer in model._flatten_layers()}),
        },
    )


def _inspect_onnx(path: Path) -> Inspection:
    import onnx

    try:
        proto = onnx.load(path, load_external_data=False)
    except Exception as error:
        raise InvalidArtifactError(f"{path} is no ONNX file: {error}") from error
    constants = {value.name for value in proto.graph.initializer}
    inputs = [value for value in proto.graph.input if value.name not in constants]
    return Inspection(
        path,
        "onnx",
        _tensors(map(inspection.onnx_tensor, inputs)),
        _tensors(map(inspection.onnx_tensor, proto.graph.output)),
        operators=_counted(f"{node.domain}.{node.op_type}".lstrip(".") for node in inspection.onnx_nodes(proto.graph)),
        details={
            "opset": next((entry.version for entry in proto.opset_import if entry.domain in ("", "ai.onnx")), None),
            "producer": f"{proto.producer_name} {proto.producer_version}".strip(),
            "weights": _counted(onnx.TensorProto.DataType.Name(value.data_type) for value in proto.graph.initializer),
            "metadata": {entry.key: entry.value for entry in proto.metadata_props},
        },
    )


def _inspect_tflite(path: Path) -> Inspection:
    from ai_edge_litert.interpreter import Interpreter

    try:
        operators = inspection.tflite_operators(path)
        interpreter = Interpreter(model_path=str(path))
        signatures = interpreter.get_signature_list()
        runner = interpreter.get_signature_runner(next(iter(signatures), None))
    except Exception as error:
        raise InvalidArtifactError(f"{path} is no TFLite file that LiteRT can load: {error}") from error
    return Inspection(
        path,
        "tflite",
        _tensors(_lite_tensor(*row) for row in runner.get_input_details().items()),
        _tensors(_lite_tensor(*row) for row in runner.get_output_details().items()),
        operators=_counted(operator.name for operator in operators),
        details={"signatures": list(signatures), "bytes": path.stat().st_size},
    )


def _tensors(rows: Iterable[tuple[str, Iterable[Any], str]]) -> tuple[TensorSignature, ...]:
    return tuple(
        TensorSignature(name, tuple("?" if size is None else size for size in shape), dtype)
        for name, shape, dtype in rows
    )


def _lite_tensor(name: str, details: dict[str, Any]) -> tuple[str, list[int | None], str]:
    sizes = [None if size < 0 else int(size) for size in details["shape_signature"]]
    return name, sizes, np.dtype(details["dtype"]).name


def _counted(names: Any) -> dict[str, int]:
    return dict(collections.Counter(names).most_common())


def _short(value: Any) -> str:
    if isinstance(value, str):
        return " ".join(value.split())
    if isinstance(value, dict):
        return ", ".join(f"{name} {_short(inner)}" for name, inner in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(str(entry) for entry in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value)
