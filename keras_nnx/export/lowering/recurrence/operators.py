"""Recurrence as one operator: a carrier in the traced graph, which each target writes as its own operator.

The carrier is TensorFlow's `CudnnRNNV3`, never run: it is known for its signature, which tells the shapes. What it
stands for is in an attribute: the cell, the activations, the direction.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_nnx.export.lowering.graphs import NOTE
from keras_nnx.export.lowering.recurrence.gates import Gates

CARRIER = "CudnnRNNV3"

_PLAIN = {
    "relu": "Relu",
    "tanh": "Tanh",
    "sigmoid": "Sigmoid",
    "softsign": "Softsign",
}
"""Not Softplus, which ONNX has, too: ONNX Runtime computes log(1 + exp(x)) inside these operators, infinite from 89."""
_WITH_NUMBERS = {
    "elu": ("Elu", 1.0, 0.0),
    "hard_sigmoid": ("HardSigmoid", 1 / 6, 0.5),
    "leaky_relu": ("LeakyRelu", 0.2, 0.0),
    "linear": ("Affine", 1.0, 0.0),
}
_ORDER = {"LSTM": (0, 3, 1, 2), "GRU": (0, 1, 2), "RNN": (0,)}
"""The places of ONNX's gates in those of Keras."""
_CODES = {"LSTM": "lstm", "GRU": "gru", "RNN": "rnn_tanh"}


def activation(function: Any) -> tuple[str, float, float] | None:
    """Return the activation of ONNX for one of Keras, with its two numbers, or None if there is none."""
    name = getattr(function, "__name__", None)
    if name is not None and function is getattr(keras.activations, name, None):
        return (_PLAIN[name], 0.0, 0.0) if name in _PLAIN else _WITH_NUMBERS.get(name)
    if type(function) is keras.layers.LeakyReLU:
        return "LeakyRelu", float(function.negative_slope), 0.0
    if type(function) is keras.layers.ELU:
        return "Elu", float(function.alpha), 0.0
    if type(function) is keras.layers.Activation:
        return activation(function.activation)
    return None


def activations(gates: Gates) -> list[tuple[str, float, float]] | None:
    """Return the activations in the order of ONNX, or None if there is one that it does not have."""
    inner = activation(gates.activation)
    outer = None if gates.recurrent_activation is None else activation(gates.recurrent_activation)
    found = {"LSTM": [outer, inner, inner], "GRU": [outer, inner], "RNN": [inner]}[gates.kind]
    named = [entry for entry in found if entry is not None]
    return named if len(named) == len(found) else None


def foreign_activations(gates: Gates) -> list[str]:
    """Return the names of the activations of a cell that the operators do not have, or not rightly."""
    functions = [function for function in (gates.activation, gates.recurrent_activation) if function is not None]
    return [getattr(some, "__name__", type(some).__name__) for some in functions if activation(some) is None]


def onnx_weights(gates: Gates) -> list[tf.Tensor]:
    """Return the weights as the operators of ONNX read them: 1 gates*u d, 1 gates*u u, 1 2*gates*u."""
    recurrent_bias = tf.zeros_like(gates.input_bias) if gates.recurrent_bias is None else gates.recurrent_bias
    kernel, recurrent, *biases = (
        tf.concat([tf.split(weight, gates.count, axis=-1)[index] for index in _ORDER[gates.kind]], -1)
        for weight in (gates.kernel, gates.recurrent_kernel, gates.input_bias, recurrent_bias)
    )
    return [tf.transpose(kernel)[None], tf.transpose(recurrent)[None], tf.concat(biases, 0)[None]]


def carried(
    gates: Gates,
    inputs: tf.Tensor,
    states: Sequence[tf.Tensor],
    weights: Sequence[tf.Tensor],
    lengths: tf.Tensor | None = None,
    *,
    backwards: bool = False,
) -> tuple[tf.Tensor, list[tf.Tensor]]:
    """Write a carrier.

    Args:
        gates: The cell.
        inputs: b t d.
        states: The first states, b u each.
        weights: What the operator of the target reads, each in its shape.
        lengths: How many steps count, b; None for all.
        backwards: Whether the steps are gone through from the last to the first.

    Returns:
        The outputs b t u, in the order of the inputs, and the last states.
    """
    units = gates.units
    first = [state[None] for state in states]
    zero = [is_zero(state) for state in states]
    result = tf.raw_ops.CudnnRNNV3(
        input=tf.transpose(inputs, [1, 0, 2]),
        input_h=first[0],
        input_c=first[-1],
        params=tf.concat([tf.reshape(weight, [-1]) for weight in weights], 0),
        sequence_lengths=tf.zeros([0], tf.int32) if lengths is None else lengths,
        rnn_mode=_CODES[gates.kind],
        is_training=False,
    )
    note = {
        "kind": gates.kind,
        "units": units,
        "shapes": [weight.shape.as_list() for weight in weights],
        "reset_after": gates.reset_after,
        "backwards": backwards,
        "lengths": lengths is not None,
        "starts": not all(zero),
        "activations": activations(gates),
    }
    result.output.op._set_attr(NOTE, tf.compat.v1.AttrValue(s=json.dumps(note, sort_keys=True).encode()))
    outputs = tf.transpose(result.output, [1, 0, 2])
    outputs.set_shape([inputs.shape[0], inputs.shape[1], units])
    lasts = [result.output_h, result.output_c][: len(states)]
    last = [tensor[0] for tensor in lasts]
    for tensor in last:
        tensor.set_shape([inputs.shape[0], units])
    return outputs, last


def is_zero(tensor: tf.Tensor) -> bool:
    """Whether a tensor is known to hold nothing but zeros."""
    while tensor.op.type in ("Identity", "Cast"):
        tensor = tensor.op.inputs[0]
    if tensor.op.type == "Fill":
        tensor = tensor.op.inputs[1]
    value = tf.get_static_value(tensor)
    return value is not None and not value.any()
