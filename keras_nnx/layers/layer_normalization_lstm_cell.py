"""An LSTM whose sums are normalised at every step."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_nnx import _checks
from keras_nnx._registration import register
from keras_nnx.layers._normalized_cell import check_units, dropped, normalization
from keras_nnx.layers._orthogonal import WideOrthogonal

_OWNER = "LayerNormalizationLSTMCell"


@register
class LayerNormalizationLSTMCell(keras.layers.LSTMCell):
    """One step of an LSTM with layer normalisation, for `keras.layers.RNN`.

    With `LN` a normalisation over all its features, with a gain:

        i, f, g, o = split(LN(x @ kernel) + LN(h @ recurrent_kernel) + bias)
        c = sigmoid(f) * c + sigmoid(i) * tanh(g)
        h = sigmoid(o) * tanh(LN(c) + beta)

    Use it where a plain LSTM trains slowly or its state grows. No accelerator has it as one operator, as
    it has the plain one. Keras has no such cell.

    Args:
        units: Size of the state, at least 2.
        epsilon: Added to the variance in the normalisations, over 0.
        **kwargs: What `keras.layers.LSTMCell` takes besides: `activation`, `use_bias`, `dropout`, initializers, `name`,
            `dtype` and the like. Dropout draws one mask for all gates.

    Call arguments:
        inputs: `(b, d)`, one step.
        states: `h` and `c`, each `(b, units)`.
        training: Whether dropout is on.

    Input shape:
        `(b, d)`; behind `keras.layers.RNN` `(b, t, d)`, whose mask the RNN applies.

    Output shape:
        `(b, units)`, and the two new states.

    Raises:
        ValueError: If an argument is out of its range.

    Example:
        >>> import keras
        >>> import numpy as np
        >>> import keras_nnx as nnx
        >>> cell = nnx.layers.LayerNormalizationLSTMCell(16)
        >>> keras.layers.RNN(cell, return_sequences=True)(np.ones((2, 5, 3), "float32")).shape
        TensorShape([2, 5, 16])

    Source:
        Ba et al., "Layer Normalization" (2016), equations 20 to 22, whose two shifts beside the bias it leaves out.
    """

    def __init__(self, units: int, epsilon: float = 1e-5, **kwargs: Any) -> None:
        initializer = kwargs.pop("recurrent_initializer", None) or WideOrthogonal()
        super().__init__(check_units(_OWNER, units), recurrent_initializer=initializer, **kwargs)
        self.epsilon = _checks.positive_number(_OWNER, "epsilon", epsilon)
        self.dropout_mask_count = None

    def build(self, input_shape: tuple) -> None:
        super().build(input_shape)
        sums = (input_shape[0], 4 * self.units)
        self.kernel_norm = normalization(self, "kernel_norm", sums, center=False)
        self.recurrent_norm = normalization(self, "recurrent_norm", sums, center=False)
        self.state_norm = normalization(self, "state_norm", (input_shape[0], self.units), center=True)

    def call(self, inputs: Any, states: Any, training: bool = False) -> tuple[Any, list[Any]]:
        hidden, carry = states
        inputs, hidden = dropped(self, inputs, hidden, training)
        sums = self.kernel_norm(ops.matmul(inputs, self.kernel))
        sums = sums + self.recurrent_norm(ops.matmul(hidden, self.recurrent_kernel))
        if self.use_bias:
            sums = sums + self.bias
        entering, kept, candidate, leaving = ops.split(sums, 4, axis=-1)
        carry = self.recurrent_activation(kept) * carry
        carry = carry + self.recurrent_activation(entering) * self.activation(candidate)
        hidden = self.recurrent_activation(leaving) * self.activation(self.state_norm(carry))
        return hidden, [hidden, carry]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "epsilon": self.epsilon}
