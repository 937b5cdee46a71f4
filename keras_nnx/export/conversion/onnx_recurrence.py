"""ONNX's operators for recurrence, in the place of the carriers that a lowering left."""

from __future__ import annotations

import json
from typing import Any

import numpy as np


def recurrence(context: Any, node: Any, _name: str, _arguments: Any) -> None:
    """Write one LSTM, GRU or RNN."""
    from keras_nnx.export.lowering.graphs import NOTE

    note = json.loads(node.get_attr_value(NOTE))
    inputs, hidden, carry, _, lengths = node.input
    weights = _weights(context, node, note["shapes"])
    starts = [hidden, carry][: 2 if note["kind"] == "LSTM" else 1] if note["starts"] else []
    operator = context.make_node(
        note["kind"],
        _without_blanks([inputs, *weights, lengths if note["lengths"] else "", *starts]),
        attr=_attributes(note),
        output_count=3 if note["kind"] == "LSTM" else 2,
        name=f"{node.name}/{note['kind']}",
    )
    outputs, *lasts = operator.output
    # The operators have an axis of directions: t 1 b u.
    places = [(context.make_node("Squeeze", [outputs, _axes(context)]).output[0], node.output[0])]
    places += list(zip(lasts, node.output[1:], strict=False))
    kept = [(new, old, context.get_shape(old), context.get_dtype(old)) for new, old in places]
    context.remove_node(node.name)
    for new, old, shape, dtype in kept:
        context.set_dtype(new, dtype)
        if shape is not None:
            context.set_shape(new, shape)
        context.replace_all_inputs(old, new)


def _axes(context: Any) -> str:
    return context.make_const(f"axes_{len(context.get_nodes())}", np.array([1], np.int64)).output[0]


def _weights(context: Any, node: Any, shapes: list[list[int]]) -> list[str]:
    """Cut the one vector that the carrier has into the weights that it was made of."""
    from tf2onnx import utils

    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
    source = node.inputs[3]
    if source.is_const():
        value = source.get_tensor_value(as_list=False)
        parts = np.split(value, ends[:-1])
        return [
            context.make_const(utils.make_name(f"{node.name}/weight"), part.reshape(shape)).output[0]
            for part, shape in zip(parts, shapes, strict=True)
        ]
    names = []
    for start, end, shape in zip([0, *ends[:-1]], ends, shapes, strict=True):
        limits = [
            context.make_const(utils.make_name(f"{node.name}/limit"), np.array([limit], np.int64)).output[0]
            for limit in (start, end)
        ]
        size = context.make_const(utils.make_name(f"{node.name}/shape"), np.array(shape, np.int64)).output[0]
        piece = context.make_node("Slice", [node.input[3], *limits]).output[0]
        names.append(context.make_node("Reshape", [piece, size]).output[0])
    return names


def _attributes(note: dict[str, Any]) -> dict[str, Any]:
    names = [name for name, _, _ in note["activations"]]
    numbers: dict[str, Any] = {"hidden_size": note["units"], "activations": names}
    # ONNX Runtime reads the numbers one after the other, for those activations alone that have some.
    for key, place, users in (("activation_alpha", 1, _WITH_ALPHA), ("activation_beta", 2, _WITH_BETA)):
        if any(name in _WITH_ALPHA for name in names):
            numbers[key] = [entry[place] for entry in note["activations"] if entry[0] in users]
    if note["backwards"]:
        numbers["direction"] = "reverse"
    if note["kind"] == "GRU":
        numbers["linear_before_reset"] = int(note["reset_after"])
    return {key: value for key, value in numbers.items() if value != []}


_WITH_ALPHA = ("Affine", "LeakyRelu", "HardSigmoid", "Elu")
_WITH_BETA = ("Affine", "HardSigmoid")


def _without_blanks(names: list[str]) -> list[str]:
    while not names[-1]:
        names.pop()
    return names
