"""Translations of operators that tf2onnx gets wrong, or does not know."""

from __future__ import annotations

from typing import Any

from keras_nnx.export.conversion.onnx_recurrence import recurrence


def select(context: Any, node: Any, _name: str, _arguments: Any) -> None:
    """Choose: tf2onnx multiplies by 0 and 1 and adds, which makes NaN of what is infinite where it is not chosen."""
    from tf2onnx.onnx_opset.controlflow import Select

    node.set_attr("handles_nan", True)
    Select.version_9(context, node)


def compare(context: Any, node: Any, _name: str, _arguments: Any) -> None:
    """Compare: tf2onnx makes floats of integers first, which have no more than 24 bits of them."""


def remainder(context: Any, node: Any, _name: str, _arguments: Any) -> None:
    """Take the remainder of floats, with the sign of the dividend."""
    node.type = "Mod"
    node.set_attr("fmod", 1)


def largest(context: Any, node: Any, _name: str, _arguments: Any) -> None:
    """Sort: tf2onnx makes floats of all other numbers first."""
    from onnx import TensorProto
    from tf2onnx.graph_builder import GraphBuilder

    node.type = "TopK"
    count = context.make_node("Cast", [node.input[1]], attr={"to": TensorProto.INT64})
    context.replace_input(
        node, node.input[1], GraphBuilder(context).make_unsqueeze({"data": count.output[0], "axes": [0]}), 1
    )
    kind = node.output_dtypes[1]
    cast = context.insert_new_node_on_output("Cast", node.output[1], name=f"{node.name}/indices", to=kind)
    context.set_dtype(cast.output[0], kind)
    context.copy_shape(node.output[1], cast.output[0])
    context.set_dtype(node.output[1], TensorProto.INT64)


def transposed_convolution(context: Any, node: Any, _name: str, _arguments: Any) -> None:
    """Convolve backwards: without padding the answer is whole, and tf2onnx cuts it up by its size all the same."""
    from tf2onnx.onnx_opset import nn

    if node.get_attr_value("padding") != b"VALID":
        nn.ConvTranspose.version_1(context, node)
        return
    spatial = 3 if node.type == "Conv3DBackpropInputV2" else 2
    node.type = "ConvTranspose"
    nn.conv_kernel_shape(context, node, 1, spatial=spatial)
    nn.conv_dims_attr(node, "strides", spatial=spatial)
    nn.conv_dims_attr(node, "dilations", spatial=spatial)
    node.set_attr("pads", [0] * (2 * spatial))
    node.set_attr("auto_pad", "NOTSET")
    _, kernel, values, *bias = node.input
    context.replace_inputs(node, [values, kernel, *bias])
    nn.conv_convert_inputs(context, node, with_kernel=True, spatial=spatial, quantization_axis=1)


HANDLERS: dict[str, tuple[Any, list[Any]]] = {
    "Select": (select, []),
    "SelectV2": (select, []),
    "Greater": (compare, []),
    "Less": (compare, []),
    "TruncateMod": (remainder, []),
    "TopKV2": (largest, []),
    "Conv2DBackpropInput": (transposed_convolution, []),
    "Conv3DBackpropInputV2": (transposed_convolution, []),
    "CudnnRNNV3": (recurrence, []),
}
