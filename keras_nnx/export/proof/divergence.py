"""Where an artifact goes wrong: the first layer whose answer is not the model's."""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_nnx.export.lowering.layers import float32_compute, replaced_calls
from keras_nnx.export.lowering.recurrence.plans import Plan
from keras_nnx.export.proof.reference import Reference
from keras_nnx.export.proof.runtimes import LiteRt, OnnxRuntime, SavedModelRuntime
from keras_nnx.export.signature import Program, Signature, TensorSignature
from keras_nnx.export.tracing import tensor_specifications, trace, traceable
from keras_nnx.export.workers import Worker

_DIVERGED = 1e-4
"""A layer differs if its answer does by more than this share of its largest value; rounding adds up on the way."""


def first_diverging_layer(
    program: Program,
    target: str,
    references: list[Reference],
    probe: str,
    worker: Worker,
    recurrent: Plan | None = None,
) -> tuple[str, str]:
    """Convert the model again with the answers of all its layers as outputs, and compare them in order.

    Args:
        program: The model whose artifact is wrong.
        target: The format of the artifact.
        references: The probes.
        probe: Name of the one on which it was wrong.
        worker: A process that knows TensorFlow.
        recurrent: How recurrence was written in the artifact.

    Returns:
        The path of the layer, `""` if it cannot be told; and a sentence about it.
    """
    inputs = next((row.probe.inputs for row in references if row.probe.name == probe), references[0].probe.inputs)
    try:
        tapped, layers = _tapped(program)
        with float32_compute(program.model):
            outputs = tapped.call({name: tf.constant(value) for name, value in inputs.items()})
        received = _run(tapped, target, inputs, worker, recurrent)
    except Exception as error:  # noqa: BLE001  (the artifact is wrong whether or not the place is found)
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        return "", f"Which layer differs could not be found out: {reason}"
    for name, layer in layers.items():
        expected, found = np.asarray(outputs[name], np.float64), received[name].astype(np.float64)
        if expected.shape != found.shape:
            return layer, f"The first layer that differs is {layer!r}, by its shape."
        with np.errstate(invalid="ignore"):
            difference = np.abs(expected - found)
        scale = max(1.0, float(np.abs(expected[np.isfinite(expected)]).max(initial=0.0)))
        same = (expected == found) | (np.isnan(expected) & np.isnan(found))
        if not np.all(same | (difference <= _DIVERGED * scale)):
            return layer, f"The first layer that differs is {layer!r}."
    return "", "No layer by itself differs: it is what the model does with their answers."


def _tapped(program: Program) -> tuple[Program, dict[str, str]]:
    """Return the program with an output for each layer, and the layers' paths by the names of these outputs."""
    layers: dict[str, str] = {}
    cells = _repeated(program.model)

    def call(inputs: dict[str, Any]) -> dict[str, Any]:
        with _recorded(program.model, cells) as record:
            outputs = dict(program.call(inputs))
        for index, (layer, tensor) in enumerate(record):
            outputs[f"tap_{index}"] = tf.cast(tensor, tf.float32)
            layers[f"tap_{index}"] = layer
        return outputs

    tapped = dataclasses.replace(program, call=call)
    with float32_compute(program.model):
        traced = traceable(tapped).get_concrete_function(tensor_specifications(tapped))
    taps = [
        TensorSignature(
            name,
            tuple(f"{name}_{axis}" if size is None else size for axis, size in enumerate(tensor.shape)),
            "float32",
        )
        for name, tensor in traced.structured_outputs.items()
        if name in layers
    ]
    signature = Signature(program.signature.inputs, (*program.signature.outputs, *taps))
    return dataclasses.replace(program, call=call, signature=signature), layers


def _repeated(model: keras.Model) -> set[int]:
    """Return the layers that a recurrent layer calls at each step: how often they are traced is up to its form."""
    recurrent = [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.RNN)]
    return {id(inner) for layer in recurrent for inner in layer._flatten_layers(include_self=False)}


@contextlib.contextmanager
def _recorded(model: keras.Model, without: set[int]) -> Iterator[list[tuple[str, Any]]]:
    """Record the float tensors that the layers of `model` return, in the order in which they return them."""
    record: list[tuple[str, Any]] = []
    graph = None if tf.executing_eagerly() else tf.compat.v1.get_default_graph()

    def watch(layer: keras.layers.Layer) -> Any:
        before = layer.call

        def call(*arguments: Any, **more: Any) -> Any:
            result = before(*arguments, **more)
            for tensor in tf.nest.flatten(result):
                inside = graph is None or getattr(tensor, "graph", None) is graph
                if isinstance(tensor, tf.Tensor) and inside and tensor.dtype.is_floating:
                    record.append((layer.path, tensor))
            return result

        return call

    layers = [layer for layer in model._flatten_layers(include_self=False) if id(layer) not in without]
    with replaced_calls(layers, watch):
        yield record


def _run(
    tapped: Program, target: str, inputs: dict[str, np.ndarray], worker: Worker, recurrent: Plan | None
) -> dict[str, np.ndarray]:
    from keras_nnx.export.conversion.onnx import convert_to_onnx, save_onnx
    from keras_nnx.export.conversion.saved_model import write_saved_model
    from keras_nnx.export.conversion.tflite import convert_to_tflite

    with tempfile.TemporaryDirectory(prefix="keras_nnx_") as folder:
        path = Path(folder, "tapped")
        if target == "saved_model":
            write_saved_model(tapped, path)
            return SavedModelRuntime(path, worker).run([inputs])[0][0]
        frozen = trace(tapped, target, recurrent)
        if target == "onnx":
            save_onnx(convert_to_onnx(tapped.model, frozen, tapped.signature, compact=False), path, {})
            return OnnxRuntime(path)(inputs)
        convert_to_tflite(tapped, frozen, path, worker)
        return LiteRt(path, worker=worker).run([inputs])[0][0]
