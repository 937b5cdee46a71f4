"""A recurrent decoder that reads another sequence."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_nnx import _checks
from keras_nnx._registration import register
from keras_nnx.blocks._recurrence import STATES, added, build_around, keep_options, recurrence
from keras_nnx.layers._step_attention import gather, without_padding

_OWNER = "AttentionDecoderBlock"


@register
class AttentionDecoderBlock(keras.layers.Layer):
    """An LSTM or a GRU over a target, whose every step reads a memory by attention.

    With `h` what the recurrence gives at a step, the step's answer is `tanh(combination([context, h]))`, where
    `context` is the average of the memory by the softmax of its products with `attention(h)`; it is added to the input.
    The recurrence does not see what was read before, so that a whole target is one recurrence in training (teacher
    forcing), and `step` continues from any state.

    Args:
        units: Size of the state, and of what comes out.
        cell: `"lstm"` or `"gru"`.
        dropout: Fraction of features dropped in training, in [0, 1); a sequence drops the same ones at every step.
        residual: Whether the input is added; where its size is another, it is projected.
        epsilon: Added to the variance in the layer normalisation in front, over 0; None for no normalisation.
        seed: Seed of the dropout.
        **kwargs: `name`, `dtype` and the like, as in `keras.layers.Layer`.

    Call arguments:
        inputs: `(b, t, d)`, the target.
        memory: `(b, s, e)`, what is read.
        hidden: `(b, f)`, the state to start from, such as an encoder's last; where its size is not `units`, it is
            projected. Default: zeros.
        carry: The same for the carry of an LSTM, given if `hidden` is.
        mask, inputs_mask: `(b, t)`, the mask of `inputs`.
        memory_mask: `(b, s)`, true for what may be read; Keras hands over the one attached to `memory`.
        training: Whether dropout is on.

    Input shape:
        `(b, t, d)` and `(b, s, e)`, with states `(b, f)`; `t` and `s` may be unknown.

    Output shape:
        `(b, t, units)`. Padding of the memory is not read. Every step of the target is, padding too: at the end of a
        target, where it belongs, it cannot reach the steps before. The mask of `inputs` is passed on.

    Raises:
        ValueError: If an argument is out of its range, an input has no three axes or no known size, its one feature is
            to be normalised, or the states are not those of the cell.

    Example:
        >>> import numpy as np
        >>> import keras_nnx as nnx
        >>> block = nnx.blocks.AttentionDecoderBlock(16, cell="gru")
        >>> block(np.ones((2, 5, 8), "float32"), np.ones((2, 20, 6), "float32")).shape
        TensorShape([2, 5, 16])

    Source:
        Luong et al., "Effective Approaches to Attention-based Neural Machine Translation" (2015), equations 5 and 8,
        without input feeding.
    """

    def __init__(
        self,
        units: int,
        cell: str = "lstm",
        dropout: float = 0.0,
        residual: bool = True,
        epsilon: float | None = 1e-6,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.units = _checks.positive_integer(_OWNER, "units", units)
        keep_options(self, cell, dropout, epsilon, residual)
        self.seed = seed

    def build(
        self,
        inputs_shape: tuple,
        memory_shape: tuple,
        hidden_shape: tuple | None = None,
        carry_shape: tuple | None = None,
    ) -> None:
        for needed in (inputs_shape, memory_shape):
            _checks.rank(_OWNER, needed, "b t d")
            _checks.last_axis(_OWNER, needed)
        build_around(self, inputs_shape, self.units)
        self.recurrence = recurrence(self, self.units, return_state=False)
        self.recurrence.build(inputs_shape)
        batch, dim = inputs_shape[0], memory_shape[-1]
        self.attention = self._dense("attention", (batch, None, self.units), dim, use_bias=False)
        self.combination = self._dense("combination", (batch, None, dim + self.units), self.units)
        for name, shape in (("hidden", hidden_shape), ("carry", carry_shape)):
            bridge = None
            if shape is not None and shape[-1] != self.units:
                bridge = self._dense(f"{name}_bridge", shape, self.units)
            setattr(self, f"{name}_bridge", bridge)

    def call(
        self,
        inputs: Any,
        memory: Any,
        hidden: Any = None,
        carry: Any = None,
        mask: Any = None,
        inputs_mask: Any = None,
        memory_mask: Any = None,
        training: bool | None = None,
    ) -> Any:  # b t d -> b t units
        x = inputs if self.norm is None else self.norm(inputs)
        # Given states, Keras hands no mask over, so that a step of padding is computed here as `step` computes it.
        states = self.recurrence.get_initial_state(ops.shape(inputs)[0])
        if hidden is not None or carry is not None:
            states = self.initial_states(hidden, carry)
        x = self.recurrence(x, initial_state=states, training=training)
        return added(self, inputs, self._read(x, memory, memory_mask), training)

    def initial_states(self, hidden: Any, carry: Any = None) -> list[Any]:
        """Return the states that `step` starts from, projected where they have to be."""
        given = [state for state in (hidden, carry) if state is not None]
        if len(given) != STATES[self.cell] or hidden is None:
            wanted = "hidden and carry" if self.cell == "lstm" else "hidden alone"
            raise ValueError(f"{_OWNER}(cell={self.cell!r}) starts from {wanted}: pass these, or none for zeros.")
        bridges = (self.hidden_bridge, self.carry_bridge)
        return [state if bridge is None else bridge(state) for state, bridge in zip(given, bridges, strict=False)]

    def step(self, inputs: Any, states: list[Any], memory: Any, memory_mask: Any = None) -> tuple[Any, list[Any]]:
        """Return the answer `(b, units)` to one step `(b, d)` of a target, and the states behind it."""
        inputs = ops.expand_dims(inputs, 1)
        x = inputs if self.norm is None else self.norm(inputs)
        x, states = self.recurrence.cell(x[:, 0], states)
        x = self._read(ops.expand_dims(x, 1), memory, memory_mask)
        return added(self, inputs, x, training=False)[:, 0], states

    def compute_mask(self, inputs: Any, mask: Any = None, *others: Any, **masks: Any) -> Any:
        return mask

    def compute_output_shape(self, inputs_shape: tuple, *others: Any, **shapes: Any) -> tuple:
        return (*inputs_shape[:-1], self.units)

    def get_config(self) -> dict[str, Any]:
        names = ("units", "cell", "dropout", "residual", "epsilon", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}

    def _dense(self, name: str, shape: tuple, units: int, use_bias: bool = True) -> keras.layers.Dense:
        layer = keras.layers.Dense(units, use_bias=use_bias, name=name, dtype=self.dtype_policy)
        layer.build(shape)
        return layer

    def _read(self, x: Any, memory: Any, memory_mask: Any) -> Any:  # b t units, b s e -> b t units
        """Return what each step finds in the memory, combined with the step."""
        memory = without_padding(ops.cast(memory, self.compute_dtype), memory_mask)
        scores = ops.matmul(self.attention(x), ops.transpose(memory, (0, 2, 1)))  # b t s
        context = gather(scores, memory, memory_mask)
        return ops.tanh(self.combination(ops.concatenate([context, x], axis=-1)))
