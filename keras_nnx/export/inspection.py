"""Stage 4: what a file holds, read from the file itself."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import keras

from keras_nnx._stderr import held_back_stderr
from keras_nnx.export.errors import InvalidArtifactError, SignatureError, UnsupportedOperatorError
from keras_nnx.export.layer_paths import layer_path
from keras_nnx.export.signature import Signature, TensorSignature

_STANDARD_DOMAINS = ("", "ai.onnx")
_QUANTIZED = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "MatMulInteger")


def inspect_onnx(path: Path, signature: Signature, model: keras.Model | None = None) -> dict[str, int]:
    """Check an ONNX file and return its operators with their counts.

    Raises:
        SignatureError: If the inputs or outputs are not those of `signature`.
        UnsupportedOperatorError: If an operator is of another domain than the standard's.
        InvalidArtifactError: If the file breaks the rules of the standard.
    """
    import onnx

    proto = onnx.load(path, load_external_data=False)
    try:
        onnx.checker.check_model(str(path), full_check=True)
    except Exception as error:
        raise InvalidArtifactError(f"onnx: {path.name} breaks the rules of the standard: {error}") from error
    counts: collections.Counter[str] = collections.Counter()
    for node in onnx_nodes(proto.graph):
        if node.domain not in _STANDARD_DOMAINS:
            raise UnsupportedOperatorError(
                layer_path(model, node.name) if model else "",
                f"{node.domain}.{node.op_type}",
                "onnx",
                "It is of a private domain, which other runtimes do not have.",
            )
        counts[node.op_type] += 1
    found = {
        "inputs": [onnx_tensor(value) for value in proto.graph.input],
        "outputs": [onnx_tensor(value) for value in proto.graph.output],
    }
    expected = {
        "inputs": [(spec.name, list(spec.shape), spec.dtype) for spec in signature.inputs],
        "outputs": [(spec.name, list(spec.shape), spec.dtype) for spec in signature.outputs],
    }
    _compare_interfaces("onnx", found, expected)
    return dict(counts.most_common())


def has_flex(operators: Iterable[str]) -> bool:
    """Whether a TFLite file needs operators of TensorFlow, which no runtime that can be installed here has."""
    return any(name.startswith("CUSTOM Flex") for name in operators)


def inspect_tflite(
    path: Path, signature: Signature, model: keras.Model | None = None, *, allow_flex: bool = False
) -> dict[str, int]:
    """Check a TFLite file and return its operators with their counts.

    A file with operators of TensorFlow cannot be loaded here, so that its interface is not looked at.

    Raises:
        SignatureError: If the inputs or outputs are not those of `signature`.
        UnsupportedOperatorError: If an operator is not builtin.
    """
    counts: collections.Counter[str] = collections.Counter()
    for operator in tflite_operators(path):
        if operator.name.startswith("CUSTOM") and not allow_flex:
            place = layer_path(model, operator.outputs[0]) if model and operator.outputs else ""
            raise UnsupportedOperatorError(
                place, operator.name, "tflite", "It is not a builtin operator, and the runtime lacks it."
            )
        counts[operator.name] += 1
    if not has_flex(counts):
        _check_tflite_interface(path, signature)
    return dict(counts.most_common())


def _check_tflite_interface(path: Path, signature: Signature) -> None:
    """Raise unless the signature of the file has the tensors of the model."""
    from ai_edge_litert.interpreter import Interpreter

    with held_back_stderr():
        interpreter = Interpreter(model_path=str(path))
    runners = interpreter.get_signature_list()
    if list(runners) != ["serving_default"]:
        raise SignatureError(f"tflite: the file has the signatures {list(runners)} instead of serving_default.")
    runner = interpreter.get_signature_runner("serving_default")
    found = {
        "inputs": _lite_tensors(runner.get_input_details()),
        "outputs": _lite_tensors(runner.get_output_details()),
    }
    expected = {"inputs": _declared(signature.inputs), "outputs": _declared(signature.outputs)}
    _compare_interfaces("tflite", found, expected)


def _lite_tensors(details: dict[str, Any]) -> list[tuple[str, list[int], str]]:
    """Return the names, declared shapes and dtypes of tensors, sorted: a file has no order of its own."""
    return sorted(
        (name, [int(size) for size in detail["shape_signature"]], detail["dtype"].__name__)
        for name, detail in details.items()
    )


def _declared(specs: Iterable[TensorSignature]) -> list[tuple[str, list[int], str]]:
    return sorted(
        (spec.name, [-1 if size is None else size for size in spec.static_shape], spec.dtype) for spec in specs
    )


def inspect_saved_model(path: Path) -> dict[str, int]:
    """Return the operators of the signature's function in a SavedModel, with their counts."""
    from tensorflow.core.protobuf import saved_model_pb2

    proto = saved_model_pb2.SavedModel()
    proto.ParseFromString((path / "saved_model.pb").read_bytes())
    graph = proto.meta_graphs[0]
    if "serving_default" not in graph.signature_def:
        raise SignatureError("saved_model: the directory has no signature serving_default.")
    functions = {function.signature.name: function for function in graph.graph_def.library.function}
    start = graph.signature_def["serving_default"].outputs
    nodes = {node.name: node for node in graph.graph_def.node}
    pending = [nodes[next(iter(start.values())).name.split(":")[0]]]
    counts: collections.Counter[str] = collections.Counter()
    seen: set[str] = set()
    while pending:
        node = pending.pop()
        called = [value.func.name for value in node.attr.values() if value.HasField("func")]
        if not called and node.op not in ("Const", "Identity", "NoOp", "ReadVariableOp", "Placeholder"):
            counts[node.op] += 1
        for name in called:
            if name in functions and name not in seen:
                seen.add(name)
                pending.extend(functions[name].node_def)
    return dict(counts.most_common())


def float_operators(path: Path, target: str) -> dict[str, int]:
    """Return the operators of an int8 file that compute in float, with their counts."""
    return _tflite_float_operators(path) if target == "tflite" else _onnx_float_operators(path)


def is_smaller(path: Path, target: str, precision: str) -> bool:
    """Whether a file has anything in the precision that was asked for."""
    if target == "tflite":
        from ai_edge_litert import schema_py_generated as schema

        wanted = schema.TensorType.FLOAT16 if precision == "float16" else schema.TensorType.INT8
        return any(kind == wanted for operator in tflite_operators(path) for kind in operator.types)
    import onnx

    graph = onnx.load(path, load_external_data=False).graph
    wanted = onnx.TensorProto.FLOAT16 if precision == "float16" else onnx.TensorProto.INT8
    return any(value.data_type == wanted for some in (graph, *inner_graphs(graph)) for value in some.initializer)


@dataclasses.dataclass(frozen=True)
class TfliteOperator:
    """One operator of a TFLite file.

    Args:
        subgraph: Index of its graph.
        name: Its builtin name; `"CUSTOM ..."` of another.
        inputs: Names of the tensors that it reads.
        outputs: Names of the tensors that it writes.
        types: Their types, as numbers of the schema: those of the inputs, then those of the outputs.
    """

    subgraph: int
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    types: tuple[int, ...]

    @property
    def output_types(self) -> tuple[int, ...]:
        """The types of what it writes."""
        return self.types[len(self.inputs) :]


def tflite_operators(path: Path) -> list[TfliteOperator]:
    """Return the operators of all graphs of a TFLite file, in order."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(path.read_bytes()))
    names = {value: name for name, value in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
    result = []
    for index, subgraph in enumerate(model.subgraphs):
        for operator in subgraph.operators or []:
            code = model.operatorCodes[operator.opcodeIndex]
            name = names[max(code.builtinCode, code.deprecatedBuiltinCode)]
            read = [subgraph.tensors[place] for place in operator.inputs if place >= 0]
            written = [subgraph.tensors[place] for place in operator.outputs]
            result.append(
                TfliteOperator(
                    subgraph=index,
                    name=f"CUSTOM {code.customCode.decode()}" if name == "CUSTOM" else name,
                    inputs=tuple(tensor.name.decode() for tensor in read),
                    outputs=tuple(tensor.name.decode() for tensor in written),
                    types=tuple(tensor.type for tensor in (*read, *written)),
                )
            )
    return result


def _tflite_float_operators(path: Path) -> dict[str, int]:
    """Count operators that write float and read nothing quantised: a product of int8 weights may write float."""
    from ai_edge_litert import schema_py_generated as schema

    counts: collections.Counter[str] = collections.Counter()
    for operator in tflite_operators(path):
        if operator.name in ("QUANTIZE", "DEQUANTIZE"):
            continue
        if schema.TensorType.FLOAT32 in operator.output_types and schema.TensorType.INT8 not in operator.types:
            counts[operator.name] += 1
    return dict(counts.most_common())


def _onnx_float_operators(path: Path) -> dict[str, int]:
    """Count nodes that read no data in int8: QDQ marks the others by a quantisation and its reversal before them.

    A DequantizeLinear of a weight alone is no such mark: what reads it computes in float.
    """
    import onnx

    graph = onnx.load(path, load_external_data=False).graph
    nodes = list(onnx_nodes(graph))
    quantized = {name for node in nodes if node.op_type == "QuantizeLinear" for name in node.output}
    widenings = [node for node in nodes if node.op_type == "DequantizeLinear" and node.input[0] in quantized]
    data = {name for node in widenings for name in node.output}
    counts: collections.Counter[str] = collections.Counter()
    for node in nodes:
        holds_others = any(attribute.HasField("g") for attribute in node.attribute)
        if node.op_type not in _QUANTIZED and not holds_others and data.isdisjoint(node.input):
            counts[node.op_type] += 1
    return dict(counts.most_common())


def inner_graphs(graph: Any) -> Iterator[Any]:
    """Yield the graphs in a graph, whatever their depth: bodies of loops, and branches."""
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield attribute.g
                yield from inner_graphs(attribute.g)


def onnx_nodes(graph: Any) -> Iterator[Any]:
    """Yield the nodes of a graph and of the graphs in it."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from onnx_nodes(attribute.g)


def onnx_tensor(value: Any) -> tuple[str, list[int | str], str]:
    """Return the name, the shape and the dtype of an input or output."""
    from onnx import helper

    tensor = value.type.tensor_type
    shape = [size.dim_param or size.dim_value for size in tensor.shape.dim]
    return value.name, shape, str(helper.tensor_dtype_to_np_dtype(tensor.elem_type))


def _compare_interfaces(target: str, found: dict[str, Any], expected: dict[str, Any]) -> None:
    for side in ("inputs", "outputs"):
        if found[side] != expected[side]:
            raise SignatureError(
                f"{target}: the file has the {side} {found[side]}, but the model has {expected[side]}. If a name was "
                f"changed, choose one of letters, digits and underscores."
            )
