"""What the recurrent blocks share: options, the recurrence itself, and what stands around it."""

from __future__ import annotations

from typing import Any

import keras

from keras_nnx import _checks
from keras_nnx.layers._orthogonal import WideOrthogonal

CELLS = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}
STATES = {"lstm": 2, "gru": 1}
"""How many states a recurrence carries: an LSTM has its outputs and its carry."""


def keep_options(block: Any, cell: str, dropout: float, epsilon: float | None, residual: bool) -> None:
    """Check the options that all recurrent blocks take, and store them."""
    owner = type(block).__name__
    block.cell = _checks.one_of(owner, "cell", cell, tuple(CELLS))
    block.dropout = _checks.probability(owner, "dropout", dropout)
    block.epsilon = None if epsilon is None else _checks.positive_number(owner, "epsilon", epsilon)
    block.residual = residual


def recurrence(block: Any, units: int, return_state: bool) -> keras.layers.Layer:
    """Return a recurrent layer of Keras that answers at every step."""
    kind = CELLS[block.cell]
    return kind(
        units,
        recurrent_initializer=WideOrthogonal(),
        return_sequences=True,
        return_state=return_state,
        name="recurrence",
        dtype=block.dtype_policy,
    )


def build_around(block: Any, input_shape: tuple, width: int) -> None:
    """Give `block` what stands before and behind its recurrence: normalisation, dropout and a way past it."""
    owner = type(block).__name__
    common = {"dtype": block.dtype_policy}
    block.norm = block.shortcut = None
    if block.epsilon is not None:
        if input_shape[-1] == 1:
            raise ValueError(
                f"{owner} would normalise over the one feature of an input of shape {tuple(input_shape)}, which leaves "
                f"nothing of it: put a Dense layer in front, or use epsilon=None for no normalisation."
            )
        block.norm = keras.layers.LayerNormalization(epsilon=block.epsilon, name="norm", **common)
        block.norm.build(input_shape)
    if block.residual and input_shape[-1] != width:
        block.shortcut = keras.layers.Dense(width, name="shortcut", **common)
        block.shortcut.build(input_shape)
    block.drop = keras.layers.Dropout(
        block.dropout, noise_shape=(None, 1, None), seed=block.seed, name="drop", **common
    )
    block.drop.build((*input_shape[:-1], width))


def added(block: Any, inputs: Any, x: Any, training: bool | None) -> Any:
    """Return `x`, with the same features dropped at every step, added to what came in."""
    x = block.drop(x, training=training)
    if not block.residual:
        return x
    return x + (inputs if block.shortcut is None else block.shortcut(inputs))
