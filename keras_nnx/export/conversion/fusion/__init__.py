"""Formulas that ONNX has an operator for, found in the graph and written as that operator.

tf2onnx translates operator by operator: a layer normalisation is ten nodes, and an attention fifty. These passes read
what the nodes compute, whoever wrote the layer.
"""

from __future__ import annotations

from typing import Any

from keras_nnx.export.conversion.fusion.attention import ATTENTION_OPSET, fuse_attention
from keras_nnx.export.conversion.fusion.gelu import GELU_OPSET, fuse_gelus
from keras_nnx.export.conversion.fusion.graph import OnnxGraph
from keras_nnx.export.conversion.fusion.normalization import RMS_OPSET, fuse_normalizations
from keras_nnx.export.conversion.fusion.reshapes import add_before_reshapes, drop_whole_slices, fix_reshapes

SINCE = {"Gelu": GELU_OPSET, "Attention": ATTENTION_OPSET, "RMSNormalization": RMS_OPSET}
"""The opsets that brought the operators; LayerNormalization is older than what tf2onnx writes."""


def fuse(proto: Any, opset: int) -> None:
    """Write the formulas in a model as operators that `opset` has; nodes that are not needed any more stay behind."""
    graph = OnnxGraph(proto)
    drop_whole_slices(graph)
    fix_reshapes(graph)
    fuse_normalizations(graph, rms=opset >= RMS_OPSET)
    if opset >= GELU_OPSET:
        fuse_gelus(graph)
    if opset >= ATTENTION_OPSET:
        add_before_reshapes(graph)
        fuse_attention(graph)
