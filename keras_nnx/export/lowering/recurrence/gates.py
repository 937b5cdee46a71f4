"""What the recurrent cells of Keras compute, read off a cell: its gates, weights and activations."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

KINDS = {keras.layers.LSTMCell: "LSTM", keras.layers.GRUCell: "GRU", keras.layers.SimpleRNNCell: "RNN"}
"""The cells that are read; a class derived from one may differ."""
_GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def _split(tensor: tf.Tensor, count: int) -> Sequence[tf.Tensor]:
    return tf.split(tensor, count, axis=-1)


Step = Callable[[tf.Tensor, Sequence[tf.Tensor]], tuple[tf.Tensor, list[tf.Tensor]]]


@dataclasses.dataclass(frozen=True, eq=False)
class Gates:
    """A cell of Keras.

    Args:
        kind: `"LSTM"`, `"GRU"` or `"RNN"`.
        units: The width of the states.
        kernel: d gates*u; the gates in the order of Keras.
        recurrent_kernel: u gates*u.
        input_bias: gates*u.
        recurrent_bias: gates*u; only a GRU that resets after its product has one.
        activation: Of what is remembered.
        recurrent_activation: Of the gates.
        reset_after: Whether a GRU resets after its product.
        apart: Cuts a tensor of all gates into a number of equal parts.
    """

    kind: str
    units: int
    kernel: tf.Tensor
    recurrent_kernel: tf.Tensor
    input_bias: tf.Tensor
    recurrent_bias: tf.Tensor | None
    activation: Callable[[Any], Any]
    recurrent_activation: Callable[[Any], Any] | None
    reset_after: bool = False
    apart: Callable[[tf.Tensor, int], Sequence[tf.Tensor]] = dataclasses.field(default=_split)

    @property
    def count(self) -> int:
        """How many gates there are."""
        return _GATES[self.kind]

    @property
    def states(self) -> int:
        """How many states there are."""
        return 2 if self.kind == "LSTM" else 1

    def project(self, inputs: tf.Tensor) -> tf.Tensor:
        """Multiply the inputs of all steps at once: b t d -> b t gates*u."""
        return tf.linalg.matmul(inputs, self.kernel) + self.input_bias

    def step(self, *, written_out: bool = False) -> Step:
        """Return what one step does with projected inputs and the states.

        Args:
            written_out: Whether each step is a piece of graph of its own, where gates are cut apart one by one: of the
                first step one may be read by nothing, and runtimes refuse an operator with such a result.
        """
        if written_out:
            return dataclasses.replace(self, apart=_slices).step()
        return {"LSTM": self._lstm, "GRU": self._gru, "RNN": self._simple}[self.kind]

    def _lstm(self, inputs: tf.Tensor, states: Sequence[tf.Tensor]) -> tuple[tf.Tensor, list[tf.Tensor]]:
        assert self.recurrent_activation is not None
        hidden, carry = states
        into, forget, candidate, out = self.apart(inputs + tf.linalg.matmul(hidden, self.recurrent_kernel), 4)
        carry = self.recurrent_activation(forget) * carry + self.recurrent_activation(into) * self.activation(candidate)
        hidden = self.recurrent_activation(out) * self.activation(carry)
        return hidden, [hidden, carry]

    def _gru(self, inputs: tf.Tensor, states: Sequence[tf.Tensor]) -> tuple[tf.Tensor, list[tf.Tensor]]:
        assert self.recurrent_activation is not None
        (hidden,) = states
        if self.reset_after:
            products = tf.linalg.matmul(hidden, self.recurrent_kernel)
            if self.recurrent_bias is not None:
                products += self.recurrent_bias
            update, reset = self._opened(inputs[:, : 2 * self.units] + products[:, : 2 * self.units])
            candidate = inputs[:, 2 * self.units :] + reset * products[:, 2 * self.units :]
        else:
            products = tf.linalg.matmul(hidden, self.recurrent_kernel[:, : 2 * self.units])
            update, reset = self._opened(inputs[:, : 2 * self.units] + products)
            candidate = inputs[:, 2 * self.units :] + tf.linalg.matmul(
                reset * hidden, self.recurrent_kernel[:, 2 * self.units :]
            )
        hidden = update * hidden + (1 - update) * self.activation(candidate)
        return hidden, [hidden]

    def _opened(self, gates: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        assert self.recurrent_activation is not None
        update, reset = self.apart(gates, 2)
        return self.recurrent_activation(update), self.recurrent_activation(reset)

    def _simple(self, inputs: tf.Tensor, states: Sequence[tf.Tensor]) -> tuple[tf.Tensor, list[tf.Tensor]]:
        hidden = self.activation(inputs + tf.linalg.matmul(states[0], self.recurrent_kernel))
        return hidden, [hidden]


def _slices(tensor: tf.Tensor, count: int) -> list[tf.Tensor]:
    size = tensor.shape[-1] // count
    return [tensor[:, index * size : (index + 1) * size] for index in range(count)]


def read_gates(cell: Any) -> Gates:
    """Return what a cell of `KINDS` computes, in float32."""
    kind = KINDS[type(cell)]
    kernel = tf.cast(tf.convert_to_tensor(cell.kernel), tf.float32)
    recurrent = tf.cast(tf.convert_to_tensor(cell.recurrent_kernel), tf.float32)
    bias = tf.cast(tf.convert_to_tensor(cell.bias), tf.float32) if cell.use_bias else None
    reset_after = kind == "GRU" and cell.reset_after
    recurrent_bias = None
    if bias is not None and reset_after:
        bias, recurrent_bias = tf.unstack(bias)
    return Gates(
        kind=kind,
        units=cell.units,
        kernel=kernel,
        recurrent_kernel=recurrent,
        input_bias=tf.zeros([_GATES[kind] * cell.units]) if bias is None else bias,
        recurrent_bias=recurrent_bias,
        activation=cell.activation,
        recurrent_activation=None if kind == "RNN" else cell.recurrent_activation,
        reset_after=reset_after,
    )
