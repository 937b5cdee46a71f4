"""Outputs of a TFLite file kept apart from what the file itself reads, before it is quantised."""

from __future__ import annotations

import collections
from typing import Any


def with_outputs_apart(content: bytes) -> bytes:
    """Give outputs that an operator reads too, or that are named twice, a tensor and a cast of their own.

    The quantiser is told to leave outputs in float32, and quantises what operators read. Of a tensor that is both it
    makes a file that claims int8 for the output, does not load, or writes beyond its memory.

    Args:
        content: A float32 file.

    Returns:
        The file as it was, or with a `CAST` from float32 to float32 before each such output.
    """
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content))
    changed = False
    for place, graph in enumerate(model.subgraphs):
        read = {int(tensor) for operator in graph.operators or [] for tensor in operator.inputs}
        graph.outputs = [int(index) for index in graph.outputs]
        named = collections.Counter(graph.outputs)
        for position, tensor in enumerate(graph.outputs):
            is_both = tensor in read or named[tensor] > 1
            if graph.tensors[tensor].type != schema.TensorType.FLOAT32 or not is_both:
                continue
            copy = _copied(schema, model, graph, tensor, position)
            graph.outputs[position] = copy
            _renamed(model, place, tensor, copy)
            changed = True
    return _packed(model) if changed else content


def with_unread_kept(content: bytes) -> bytes:
    """Make outputs of the main graph of what its operators write and nothing reads.

    Where all sizes are known, LiteRT gives such a result no memory, and whoever measures all results fails on it.
    """
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content))
    graph = model.subgraphs[0]
    outputs = [int(tensor) for tensor in graph.outputs]
    read = {int(tensor) for operator in graph.operators or [] for tensor in operator.inputs} | set(outputs)
    written = [int(tensor) for operator in graph.operators or [] for tensor in operator.outputs]
    unread = [tensor for tensor in written if tensor not in read]
    graph.outputs = [*outputs, *unread]
    return _packed(model) if unread else content


def _copied(schema: Any, model: Any, graph: Any, tensor: int, position: int) -> int:
    """Add a cast of `tensor` to itself, and return the tensor that it writes."""
    source = graph.tensors[tensor]
    copy = schema.TensorT()
    copy.name, copy.type, copy.shape = source.name + f"_output_{position}".encode(), source.type, source.shape
    copy.shapeSignature, copy.hasRank, copy.buffer = source.shapeSignature, source.hasRank, 0
    graph.tensors.append(copy)
    options = schema.CastOptionsT()
    options.inDataType = options.outDataType = source.type
    operator = schema.OperatorT()
    operator.opcodeIndex = _cast_code(schema, model)
    operator.inputs, operator.outputs = [tensor], [len(graph.tensors) - 1]
    operator.builtinOptionsType, operator.builtinOptions = schema.BuiltinOptions.CastOptions, options
    graph.operators.append(operator)
    return len(graph.tensors) - 1


def _cast_code(schema: Any, model: Any) -> int:
    wanted = schema.BuiltinOperator.CAST
    for index, code in enumerate(model.operatorCodes):
        if max(code.builtinCode, code.deprecatedBuiltinCode) == wanted:
            return index
    code = schema.OperatorCodeT()
    code.builtinCode, code.deprecatedBuiltinCode, code.version = wanted, wanted, 1
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1


def _renamed(model: Any, place: int, tensor: int, copy: int) -> None:
    """Let one output of the signature that was called by `tensor` be called by `copy`."""
    for served in model.signatureDefs or []:
        if served.subgraphIndex != place:
            continue
        waiting = (entry for entry in served.outputs if entry.tensorIndex == tensor)
        entry = next(waiting, None)
        if entry is not None:
            entry.tensorIndex = copy


def _packed(model: Any) -> bytes:
    import flatbuffers

    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
