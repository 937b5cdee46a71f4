"""A GRU whose sums are normalised at every step."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_nnx import _checks
from keras_nnx._registration import register
from keras_nnx.layers._normalized_cell import check_units, dropped, normalization
from keras_nnx.layers._orthogonal import WideOrthogonal

_OWNER = "LayerNormalizationGRUCell"


@register
class LayerNormalizationGRUCell(keras.layers.GRUCell):
    """One step of a GRU with layer normalisation, for `keras.layers.RNN`.

    With `LN` a normalisation over all its features, with a gain, `kernel` and `recurrent_kernel` cut in two, for both
    gates and for the candidate, and two rows of `bias`, for inputs and state:

        z, r = split(sigmoid(LN(x @ kernel_gates) + LN(h @ recurrent_gates) + bias_0 + bias_1))
        g = tanh(LN(x @ kernel_candidate) + bias_0 + r * (LN(h @ recurrent_candidate) + bias_1))
        h = z * h + (1 - z) * g

    Use it where a plain GRU trains slowly. No accelerator has it as one operator, as it has the plain one. Keras has no
    such cell.

    Args:
        units: Size of the state, at least 2.
        epsilon: Added to the variance in the normalisations, over 0.
        **kwargs: What `keras.layers.GRUCell` takes besides: `activation`, `use_bias`, `dropout`, initializers, `name`,
            `dtype` and the like. Dropout draws one mask for all gates. There is no `reset_after`: the reset comes after
            the product.

    Call arguments:
        inputs: `(b, d)`, one step.
        states: `h`, `(b, units)`.
        training: Whether dropout is on.

    Input shape:
        `(b, d)`; behind `keras.layers.RNN` `(b, t, d)`, whose mask the RNN applies.

    Output shape:
        `(b, units)`, and the new state.

    Raises:
        ValueError: If an argument is out of its range, or `reset_after` is given.

    Example:
        >>> import keras
        >>> import numpy as np
        >>> import keras_nnx as nnx
        >>> cell = nnx.layers.LayerNormalizationGRUCell(16)
        >>> keras.layers.RNN(cell, return_sequences=True)(np.ones((2, 5, 3), "float32")).shape
        TensorShape([2, 5, 16])

    Source:
        Ba et al., "Layer Normalization" (2016), equations 26 to 28, with the update gate the other way around, as in
        Keras, and its shifts in the biases.
    """

    def __init__(self, units: int, epsilon: float = 1e-5, **kwargs: Any) -> None:
        if "reset_after" in kwargs:
            raise ValueError(
                f"{_OWNER}(reset_after={kwargs['reset_after']!r}) is not an option: the state is normalised behind its "
                f"product, and reset after that. Leave it out."
            )
        initializer = kwargs.pop("recurrent_initializer", None) or WideOrthogonal()
        super().__init__(check_units(_OWNER, units), recurrent_initializer=initializer, **kwargs)
        self.epsilon = _checks.positive_number(_OWNER, "epsilon", epsilon)
        self.dropout_mask_count = None

    def build(self, input_shape: tuple) -> None:
        super().build(input_shape)
        for side in ("kernel", "recurrent"):
            for part, count in (("gates", 2), ("candidate", 1)):
                name = f"{side}_{part}_norm"
                setattr(self, name, normalization(self, name, (input_shape[0], count * self.units), center=False))

    def call(self, inputs: Any, states: Any, training: bool = False) -> tuple[Any, Any]:
        hidden = states[0] if isinstance(states, list | tuple) else states
        inputs, shown = dropped(self, inputs, hidden, training)
        z, r, entering = self._sums("kernel", ops.matmul(inputs, self.kernel), 0)
        recurrent_z, recurrent_r, recalled = self._sums("recurrent", ops.matmul(shown, self.recurrent_kernel), 1)
        update = self.recurrent_activation(z + recurrent_z)
        reset = self.recurrent_activation(r + recurrent_r)
        candidate = self.activation(entering + reset * recalled)
        hidden = update * hidden + (1 - update) * candidate
        return hidden, [hidden] if isinstance(states, list | tuple) else hidden

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), "epsilon": self.epsilon}
        del config["reset_after"]
        return config

    def _sums(self, side: str, product: Any, row: int) -> tuple[Any, Any, Any]:
        """Return what inputs or state give to both gates and to the candidate, normalised."""
        gates = getattr(self, f"{side}_gates_norm")(product[:, : 2 * self.units])
        candidate = getattr(self, f"{side}_candidate_norm")(product[:, 2 * self.units :])
        if self.use_bias:
            gates = gates + self.bias[row, : 2 * self.units]
            candidate = candidate + self.bias[row, 2 * self.units :]
        return gates[:, : self.units], gates[:, self.units :], candidate
