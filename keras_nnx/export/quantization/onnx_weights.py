"""Smaller weights in ONNX files, with nothing to calibrate: float16, and int8 with ranges taken as the model runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from keras_nnx.export.errors import ConverterCrashError
from keras_nnx.export.quantization.onnx_bodies import hoist_weights, is_large
from keras_nnx.export.quantization.onnx_recurrent import quantize_recurrent
from keras_nnx.export.quantization.onnx_static import quiet

DYNAMIC_OPERATORS = ("MatMul", "Gemm")
"""Convolutions stay in float: ONNX Runtime's integer ones take several times as long."""


def quantize_weights(path: Path, precision: str, folder: Path) -> None:
    """Replace a float32 file by one with smaller weights: in float16, or in int8 with ranges taken as it runs.

    Raises:
        ConverterCrashError: If ONNX Runtime cannot quantise the model.
    """
    import onnx

    from keras_nnx.export.conversion.onnx import write_onnx

    if precision == "float16":
        proto = onnx.load(path)
        halve_weights(proto.graph)
    else:
        destination = folder / "quantized.onnx"
        _quantize_dynamic(path, destination)
        proto = onnx.load(destination)
        quantize_recurrent(proto.graph)
        # The quantiser leaves what fused operators of ONNX Runtime would need; none is in the file.
        kept = [entry for entry in proto.opset_import if entry.domain in ("", "ai.onnx")]
        del proto.opset_import[:]
        proto.opset_import.extend(kept)
    write_onnx(proto, path)


def halve_weights(graph: Any) -> None:
    """Store the large float32 weights of a graph and of those in it in float16; they are widened as it is loaded."""
    from onnx import TensorProto, helper, numpy_helper

    hoist_weights(graph)
    largest = np.finfo(np.float16).max
    widened = []
    for value in graph.initializer:
        if not is_large(value):
            continue
        array = numpy_helper.to_array(value)
        if not np.abs(array).max() <= largest:
            continue
        name = value.name
        value.CopyFrom(numpy_helper.from_array(array.astype(np.float16), f"{name}__float16"))
        widened.append(helper.make_node("Cast", [value.name], [name], f"{name}__widened", to=TensorProto.FLOAT))
    nodes = [*widened, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def _quantize_dynamic(source: Path, destination: Path) -> None:
    from onnxruntime import quantization

    try:
        with quiet():
            quantization.quantize_dynamic(
                str(source),
                str(destination),
                op_types_to_quantize=list(DYNAMIC_OPERATORS),
                per_channel=True,
                weight_type=quantization.QuantType.QInt8,
                # Activations are unsigned: processors without VNNI saturate where weights use all of their 8 bits.
                reduce_range=True,
            )
    except Exception as error:
        raise ConverterCrashError(f"onnx: int8_dynamic quantisation failed: {type(error).__name__}: {error}") from error
