"""What an int8 file of ONNX computes in float by its nature, for the report to say."""

from __future__ import annotations

from pathlib import Path

import keras

from keras_nnx.export.inspection import onnx_nodes
from keras_nnx.export.layer_paths import layer_path
from keras_nnx.export.quantization.onnx_bodies import PRODUCTS
from keras_nnx.export.quantization.onnx_recurrent import OPERATORS


def computed_in_float(path: Path, model: keras.Model) -> list[str]:
    """Return the layers of recurrent operators, and of products in loops and branches, each with its form."""
    import onnx

    graph = onnx.load(path, load_external_data=False).graph
    widened = {name for node in graph.node if node.op_type == "DequantizeLinear" for name in node.output}
    found: dict[tuple[str, str], set[bool]] = {}
    for node in graph.node:
        inner = [some for attribute in node.attribute if attribute.HasField("g") for some in onnx_nodes(attribute.g)]
        for some in inner or [node]:
            if some.op_type in ((*PRODUCTS, *OPERATORS) if inner else OPERATORS):
                layer = layer_path(model, some.name) or some.name
                found.setdefault((layer, node.op_type), set()).add(not widened.isdisjoint(some.input))
    said = {(True,): ", weights in int8", (False, True): ", some weights in int8", (False,): ""}
    return [f"{layer} ({kind}{said[tuple(sorted(small))]})" for (layer, kind), small in found.items()]
