"""TFLite's fused LSTM, whose memory from the last call is wiped before the first step."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence

import keras
import tensorflow as tf

from keras_nnx.export.lowering.graphs import NOTE
from keras_nnx.export.lowering.operators import register_decomposition
from keras_nnx.export.lowering.recurrence.gates import Gates
from keras_nnx.export.lowering.recurrence.operators import CARRIER, carried, is_zero

_SHUT = -1e4
"""What a gate is given to be shut: its sigmoid is 0 in float32, whatever the weights add."""


def why_not(
    gates: Gates | None, inputs: tf.Tensor, states: Sequence[tf.Tensor], mask: tf.Tensor | None, precision: str
) -> str:
    """Return why the operator cannot stand for a layer, or an empty string."""
    if gates is None or gates.kind != "LSTM":
        return "the operator is an LSTM with one of Keras's own cells"
    if gates.activation is not keras.activations.tanh or gates.recurrent_activation is not keras.activations.sigmoid:
        return "the operator has the activations tanh and sigmoid"
    if precision != "float32":
        return f"the operator is exported in float32, not in {precision}"
    if inputs.shape[0] is None:
        return "the operator needs a batch of known size: pass input_signature=keras.Input(..., batch_size=1)"
    if mask is not None:
        return "the operator takes no mask"
    if not all(is_zero(state) for state in states):
        return "the operator keeps its states inside, where nothing but zero can be put before a call"
    return ""


def fused(gates: Gates, inputs: tf.Tensor, states: Sequence[tf.Tensor]) -> tf.Tensor:
    """Return the outputs of an LSTM, b t u.

    The operator keeps its states from call to call. One step more in front, marked by one feature more, shuts all
    gates: the states are 0 then, whatever they were.
    """
    batch, _, width = inputs.shape
    steps = tf.shape(inputs)[1]
    marks = tf.concat([tf.ones([batch, 1, 1]), tf.zeros(tf.stack([batch, steps, 1]))], 1)
    longer = tf.concat([tf.concat([tf.zeros([batch, 1, width]), inputs], 1), marks], 2)
    longer.set_shape([batch, None if inputs.shape[1] is None else inputs.shape[1] + 1, width + 1])
    into, forget, candidate, out = (tf.fill([1, gates.units], number) for number in (_SHUT, _SHUT, 0.0, _SHUT))
    kernel = tf.concat([gates.kernel, tf.concat([into, forget, candidate, out], 1)], 0)
    outputs, _ = carried(gates, longer, states, [kernel, gates.recurrent_kernel, gates.input_bias])
    return outputs[:, 1:]


@register_decomposition(CARRIER, targets=("tflite",))
def write_fused(
    operation: tf.Operation, inputs: tf.Tensor, hidden: tf.Tensor, carry: tf.Tensor, params: tf.Tensor, _: tf.Tensor
) -> list[tf.Tensor]:
    """Write the function that the converter knows by its attributes."""
    note = json.loads(operation.get_attr(NOTE))
    sizes = [shape[0] * (shape[1] if len(shape) > 1 else 1) for shape in note["shapes"]]
    weights = [tf.reshape(part, shape) for part, shape in zip(tf.split(params, sizes), note["shapes"], strict=True)]

    def lstm(
        x: tf.Tensor, h: tf.Tensor, c: tf.Tensor, kernel: tf.Tensor, recurrent_kernel: tf.Tensor, bias: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        gates = Gates(
            "LSTM",
            note["units"],
            kernel,
            recurrent_kernel,
            bias,
            None,
            keras.activations.tanh,
            keras.activations.sigmoid,
        )
        output, (hidden, carry) = gates.step()(gates.project(x)[:, 0], [h, c])
        return output, tf.tile(output[:, None], [1, tf.shape(x)[1], 1]), hidden, carry, tf.constant(0.0)

    known = tf.function(
        lstm,
        autograph=False,
        experimental_attributes={
            "api_implements": f"lstm_{uuid.uuid5(uuid.NAMESPACE_OID, operation.name)}",
            "api_preferred_device": "CPU",
            "go_backwards": False,
            "time_major": False,
        },
    )
    _, sequence, *_ = known(tf.transpose(inputs, [1, 0, 2]), hidden[0], carry[0], *weights)
    sequence.set_shape([inputs.shape[1], inputs.shape[0], note["units"]])
    zero = tf.zeros([0])
    return [tf.transpose(sequence, [1, 0, 2]), hidden, carry, zero, zero]
