"""A recurrent layer with what lets many of them be stacked."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_nnx import _checks
from keras_nnx._registration import register
from keras_nnx.blocks._recurrence import STATES, added, build_around, keep_options, recurrence

_OWNER = "RecurrentBlock"
_ARGUMENTS = (
    "units",
    "cell",
    "bidirectional",
    "merge",
    "projection_dim",
    "dropout",
    "residual",
    "epsilon",
    "return_state",
    "seed",
)
_MERGES = ("concat", "sum", "ave", "mul")


@register
class RecurrentBlock(keras.layers.Layer):
    """An LSTM or a GRU over normalised steps, in one or both directions, added to its input.

    Stack it, with one width or with changing ones: a bare `keras.layers.LSTM` on top of others trains ever more slowly,
    since the gradient has to pass through all of them. The recurrence is that of Keras, so that it runs as one
    operator where there is one.

    Args:
        units: Size of the state of each direction.
        cell: `"lstm"` or `"gru"`.
        bidirectional: Whether a second recurrence reads the sequence from its end.
        merge: What becomes of the two directions: `"concat"`, `"sum"`, `"ave"` or `"mul"`.
        projection_dim: Size of what comes out, by a projection behind the recurrence. Default: there is none, and
            `units` come out, or twice as many of two directions side by side.
        dropout: Fraction of features dropped in training behind the recurrence, in [0, 1); a sequence drops the same
            ones at every step.
        residual: Whether the input is added; where its size is another, it is projected.
        epsilon: Added to the variance in the layer normalisation in front, over 0; None for no normalisation.
        return_state: Whether the last states come out too.
        seed: Seed of the dropout.
        **kwargs: `name`, `dtype` and the like, as in `keras.layers.Layer`.

    Call arguments:
        inputs: `(b, t, d)`.
        mask: `(b, t)`, true for what is no padding.
        training: Whether dropout is on.

    Input shape:
        `(b, t, d)`; `t` may be unknown.

    Output shape:
        `(b, t, projection_dim or units)`. Padding by a mask `(b, t)` leaves the state as it is, in both directions; the
        mask is passed on. With `return_state` the last hidden state follows, and for an LSTM its carry, each
        `(b, units)`, or those of both directions side by side.

    Raises:
        ValueError: If an argument is out of its range, the input has no three axes, `d` is unknown, or it is 1 and to
            be normalised.

    Example:
        >>> import numpy as np
        >>> import keras_nnx as nnx
        >>> block = nnx.blocks.RecurrentBlock(16, cell="gru", bidirectional=True)
        >>> block(np.ones((2, 20, 3), "float32")).shape
        TensorShape([2, 20, 32])

    Source:
        Hochreiter and Schmidhuber, "Long Short-Term Memory" (1997); Cho et al., "Learning Phrase Representations using
        RNN Encoder-Decoder" (2014); Wu et al., "Google's Neural Machine Translation System" (2016), section 3.1, for
        the sum; Gal and Ghahramani, "A Theoretically Grounded Application of Dropout in Recurrent Neural Networks"
        (2016), for one draw a sequence.
    """

    def __init__(
        self,
        units: int,
        cell: str = "lstm",
        bidirectional: bool = False,
        merge: str = "concat",
        projection_dim: int | None = None,
        dropout: float = 0.0,
        residual: bool = True,
        epsilon: float | None = 1e-6,
        return_state: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.units = _checks.positive_integer(_OWNER, "units", units)
        self.bidirectional = bidirectional
        self.merge = _checks.one_of(_OWNER, "merge", merge, _MERGES)
        self.projection_dim = _checks.optional_positive_integer(_OWNER, "projection_dim", projection_dim)
        keep_options(self, cell, dropout, epsilon, residual)
        self.return_state = return_state
        self.seed = seed

    def build(self, input_shape: tuple) -> None:
        _checks.rank(_OWNER, input_shape, "b t d")
        _checks.last_axis(_OWNER, input_shape)
        build_around(self, input_shape, self._width)
        common = {"dtype": self.dtype_policy}
        layer = recurrence(self, self.units, self.return_state)
        if self.bidirectional:
            layer = keras.layers.Bidirectional(layer, merge_mode=self.merge, name="recurrence", **common)
        layer.build(input_shape)
        self.recurrence = layer
        self.projection = None
        if self.projection_dim is not None:
            self.projection = keras.layers.Dense(self.projection_dim, name="projection", **common)
            self.projection.build((*input_shape[:-1], self._merged))

    def call(self, inputs: Any, mask: Any = None, training: bool | None = None) -> Any:  # b t d -> b t projection_dim
        x = inputs if self.norm is None else self.norm(inputs)
        x = self.recurrence(x, mask=mask, training=training)
        states: list[Any] = []
        if self.return_state:
            x, *states = x
        if self.projection is not None:
            x = self.projection(x)
        x = added(self, inputs, x, training)
        return (x, *self._together(states)) if self.return_state else x

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return [mask] + [None] * STATES[self.cell] if self.return_state else mask

    def compute_output_shape(self, input_shape: tuple) -> Any:
        outputs = (*input_shape[:-1], self._width)
        state = (input_shape[0], self.units * (1 + self.bidirectional))
        return (outputs, *[state] * STATES[self.cell]) if self.return_state else outputs

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **{name: getattr(self, name) for name in _ARGUMENTS}}

    @property
    def _merged(self) -> int:
        """The size of what the recurrence gives."""
        return 2 * self.units if self.bidirectional and self.merge == "concat" else self.units

    @property
    def _width(self) -> int:
        return self._merged if self.projection_dim is None else self.projection_dim

    def _together(self, states: list[Any]) -> list[Any]:
        """Return the states, those of both directions side by side."""
        if not self.bidirectional:
            return states
        half = len(states) // 2
        return [ops.concatenate(pair, axis=-1) for pair in zip(states[:half], states[half:], strict=True)]
