"""ONNX, by tf2onnx, with nothing unknown let through."""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import math
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_nnx._stderr import held_back_stderr
from keras_nnx._version import __version__
from keras_nnx.export._worker import release
from keras_nnx.export.conversion.fusion import SINCE, fuse
from keras_nnx.export.conversion.onnx_canonical import canonicalize
from keras_nnx.export.conversion.onnx_guards import guard
from keras_nnx.export.conversion.onnx_handlers import HANDLERS
from keras_nnx.export.errors import REPLACE_THE_LAYER, ConverterCrashError, UnsupportedOperatorError
from keras_nnx.export.interrupts import held_back
from keras_nnx.export.layer_paths import layer_path
from keras_nnx.export.lowering.graphs import FrozenGraph
from keras_nnx.export.signature import Signature, TensorSignature

CONVERTER_OPSET = 18
"""What tf2onnx writes; its own ceiling."""
LARGEST_FILE = 1_800_000_000
"""Bytes of weights in one file; what describes them has to fit into the 2 GB of the format as well."""
_APART = 100_000
"""Numbers of a weight that nothing looks into until it is written."""
PREFERRED_OPSET = 23
"""The newest that is written unasked: the first with one operator for an attention."""


@functools.cache
def newest_opset() -> int:
    """Return the newest opset that ONNX Runtime runs, as it is installed."""
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper

    for opset in range(onnx.defs.onnx_opset_version(), CONVERTER_OPSET, -1):
        values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
        graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "probe", values[:1], values[1:])
        proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
        proto.ir_version = helper.find_min_ir_version_for(proto.opset_import)
        # A refusal is an answer: it is caught before what was held back would be shown.
        with held_back_stderr(), contextlib.suppress(onnxruntime.capi.onnxruntime_pybind11_state.Fail):
            onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
            return opset
    return CONVERTER_OPSET


def convert_to_onnx(
    model: keras.Model, frozen: FrozenGraph, signature: Signature, opset: int | None = None, *, compact: bool = True
) -> Any:
    """Return the ONNX model of a frozen graph, its inputs, outputs and dimensions named as in `signature`.

    Args:
        model: The model that was traced.
        frozen: Its graph, lowered for ONNX.
        signature: Names and shapes.
        opset: The opset to write. By default the oldest that has every operator of the most compact form.
        compact: Whether formulas that ONNX has an operator for are written as that operator.

    Raises:
        UnsupportedOperatorError: If an operator has no translation.
        ConverterCrashError: If tf2onnx fails in another way.
    """
    inputs = [frozen.inputs[spec.name] for spec in signature.inputs]
    outputs = [frozen.outputs[spec.name] for spec in signature.outputs]
    proto, weights = _translate(model, frozen, inputs, outputs)
    del frozen
    with held_back():
        release()
    _refuse_untranslated(model, proto)
    _name_interface(proto, signature, inputs, outputs)
    if compact:
        _stamp(proto, opset or min(PREFERRED_OPSET, newest_opset()))
        fuse(proto, proto.opset_import[0].version)
    guard(proto.graph)
    canonicalize(proto.graph, model)
    # Whatever tf2onnx writes means the same in all later opsets; it writes none of the two operators that changed.
    _stamp(proto, opset or max([CONVERTER_OPSET, *(SINCE.get(node.op_type, 0) for node in proto.graph.node)]))
    _put_in(proto.graph, weights)
    return proto


def _translate(
    model: keras.Model, frozen: FrozenGraph, inputs: list[str], outputs: list[str]
) -> tuple[Any, dict[str, bytes]]:
    """Return what tf2onnx makes of a frozen graph, and the largest weights, which every copy would copy, beside it."""
    import tensorflow as tf
    from tf2onnx import tf_loader, tfonnx

    from keras_nnx.export.conversion.onnx_passes import optimize

    with _quiet() as errors:
        try:
            with tf.Graph().as_default():
                held = [f"{name}:0" for name in frozen.weights]
                graph_def = tf_loader.tf_optimize([*inputs, *held], outputs, frozen.graph_def)
            _make_constants(graph_def, frozen.weights)
            with tf.Graph().as_default() as graph:
                tf.graph_util.import_graph_def(graph_def, name="")
                converted = tfonnx.process_tf_graph(
                    graph,
                    opset=CONVERTER_OPSET,
                    input_names=inputs,
                    output_names=outputs,
                    custom_op_handlers=HANDLERS,
                    const_node_values=_Contents(frozen.weights),
                )
                optimized = optimize(converted)
                apart = _take_out(optimized)
                return optimized.make_model(model.name), apart
        except Exception as error:
            named = [
                match for line in errors if (match := re.match(r"Tensorflow op \[(.+): (\w+)\] is not supp", line))
            ]
            if named:
                places = dict.fromkeys((layer_path(model, match[1]), match[2]) for match in named)
                raise _unsupported(places) from error
            last_words = "; ".join([*errors, f"{type(error).__name__}: {error}"])
            raise ConverterCrashError(
                f"onnx: tf2onnx failed on the model {model.name!r}: {last_words}. Leave this format out, "
                f"or replace the layer."
            ) from error


def _take_out(graph: Any) -> dict[str, bytes]:
    """Take the values of the largest weights out of a graph of tf2onnx; return them by the names in their places."""
    from onnx import TensorProto

    found = {}
    for node in graph.get_nodes():
        value = node.attr["value"].t if node.is_const() else None
        if value is not None and math.prod(value.dims) > _APART and value.raw_data:
            found[node.name] = value.raw_data
            empty = TensorProto(dims=value.dims, data_type=value.data_type, data_location=TensorProto.EXTERNAL)
            empty.external_data.add(key="location", value=node.name)
            node.set_attr("value", empty)
    return found


def _put_in(graph: Any, weights: dict[str, bytes]) -> None:
    """Put the values of the largest weights back where they are named."""
    for value in graph.initializer:
        if value.external_data:
            value.raw_data = weights[value.external_data[0].value]
            value.ClearField("external_data")
            value.ClearField("data_location")


def _make_constants(graph_def: Any, weights: dict[str, np.ndarray]) -> None:
    """Make constants of the placeholders of weights, with values that tf2onnx takes from elsewhere."""
    import tensorflow as tf

    for node in graph_def.node:
        if node.name in weights:
            node.op = "Const"
            node.ClearField("attr")
            node.attr["dtype"].type = tf.as_dtype(weights[node.name].dtype).as_datatype_enum
            node.attr["value"].tensor.dtype = node.attr["dtype"].type
            node.attr["value"].tensor.tensor_shape.CopyFrom(tf.TensorShape(weights[node.name].shape).as_proto())


class _Contents(dict[str, Any]):
    """The bytes of weights by name, made when they are asked for."""

    def __getitem__(self, name: str) -> bytes:
        return super().__getitem__(name).tobytes()


def _stamp(proto: Any, opset: int) -> None:
    from onnx import helper

    del proto.opset_import[:]
    proto.opset_import.append(helper.make_opsetid("", opset))
    proto.ir_version = helper.find_min_ir_version_for(proto.opset_import)


def save_onnx(proto: Any, path: Path, properties: dict[str, Any]) -> None:
    """Write the file, with the producer and `properties` in it: labels one a line, everything else as JSON."""
    proto.producer_name, proto.producer_version = "keras_nnx", __version__
    for key, value in sorted(properties.items()):
        if value:
            entry = proto.metadata_props.add()
            entry.key = key
            entry.value = "\n".join(value) if key == "labels" else json.dumps(value, sort_keys=True)
    write_onnx(proto, path)


def write_onnx(proto: Any, path: Path) -> None:
    """Write a model as one file; if it is too large for that, with its weights in a second one beside it."""
    import onnx

    if sum(value.ByteSize() for value in proto.graph.initializer) < LARGEST_FILE:
        path.write_bytes(proto.SerializeToString())
    else:
        onnx.save_model(proto, str(path), save_as_external_data=True, location=f"{path.name}.data", size_threshold=1024)


def _refuse_untranslated(model: keras.Model, proto: Any) -> None:
    """Raise for an operator that the standard does not know; tf2onnx logs it and leaves it in the file."""
    from onnx import defs

    places: dict[tuple[str, str], None] = {}
    graphs = [proto.graph]
    while graphs:
        for node in graphs.pop().node:
            graphs.extend(attribute.g for attribute in node.attribute if attribute.HasField("g"))
            if node.domain or not defs.has(node.op_type, max_inclusive_version=CONVERTER_OPSET):
                places[layer_path(model, node.name), node.op_type] = None
    if places:
        raise _unsupported(places)


def _unsupported(places: dict[tuple[str, str], None]) -> UnsupportedOperatorError:
    """Return one error for the first of several layers and operators, with the others in it."""
    first, *rest = [UnsupportedOperatorError(*place, "onnx", REPLACE_THE_LAYER) for place in places]
    first.also = tuple(rest)
    return first


def _name_interface(proto: Any, signature: Signature, inputs: list[str], outputs: list[str]) -> None:
    """Give inputs, outputs and dynamic dimensions the names of the signature, and drop the guesses of tf2onnx."""
    for spec, old in zip(signature.inputs, inputs, strict=True):
        _rename(proto.graph, old, spec.name)
    for spec, old in zip(signature.outputs, outputs, strict=True):
        _rename(proto.graph, old, spec.name)
    described = {spec.name: spec for spec in (*signature.inputs, *signature.outputs)}
    for value in (*proto.graph.input, *proto.graph.output):
        _name_dimensions(value, described[value.name])
    del proto.graph.value_info[:]


def _rename(graph: Any, old: str, new: str) -> None:
    """Rename a tensor wherever it is written or read, subgraphs included; a node that has the new name moves away."""
    for node in graph.node:
        for names in (node.input, node.output):
            for index, name in enumerate(names):
                if name in (old, new):
                    names[index] = new if name == old else f"{new}__inner"
        for attribute in node.attribute:
            if attribute.HasField("g"):
                _rename(attribute.g, old, new)
    for values in (graph.input, graph.output, graph.initializer, graph.value_info):
        for value in values:
            if value.name == old:
                value.name = new


def _name_dimensions(value: Any, spec: TensorSignature) -> None:
    shape = value.type.tensor_type.shape
    del shape.dim[:]
    for size in spec.shape:
        dimension = shape.dim.add()
        if isinstance(size, str):
            dimension.dim_param = size
        else:
            dimension.dim_value = size


@contextlib.contextmanager
def _quiet() -> Iterator[list[str]]:
    """Keep tf2onnx's log from the terminal; yield its error lines, which are often the only reason it gives."""
    errors: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            errors.append(record.getMessage().splitlines()[0])

    logger = logging.getLogger("tf2onnx")
    collector, handlers, propagate = Collector(logging.ERROR), logger.handlers[:], logger.propagate
    logger.handlers, logger.propagate = [collector], False
    try:
        with warnings.catch_warnings(), held_back_stderr():
            warnings.simplefilter("ignore", DeprecationWarning)
            yield errors
    finally:
        logger.handlers, logger.propagate = handlers, propagate
