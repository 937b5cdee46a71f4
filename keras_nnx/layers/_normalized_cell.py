"""What the recurrent cells with layer normalisation share."""

from __future__ import annotations

from typing import Any

import keras

from keras_nnx import _checks


def check_units(owner: str, units: Any) -> int:
    """Return `units` if a state of that size can be normalised."""
    if _checks.positive_integer(owner, "units", units) == 1:
        raise ValueError(
            f"{owner}(units=1) would normalise a state of one number, which leaves nothing of it: use at least 2 "
            f"units, or a cell of keras.layers."
        )
    return int(units)


def normalization(cell: Any, name: str, shape: tuple, center: bool) -> keras.layers.Layer:
    """Return a built normalisation with the epsilon of `cell`; without a centre it only has a gain."""
    layer = keras.layers.LayerNormalization(epsilon=cell.epsilon, center=center, name=name, dtype=cell.dtype_policy)
    layer.build(shape)
    return layer


def dropped(cell: Any, inputs: Any, hidden: Any, training: bool) -> tuple[Any, Any]:
    """Return inputs and state with what the cell drops in training set to zero, the same at every step."""
    if training and cell.dropout:
        inputs = inputs * cell.get_dropout_mask(inputs)
    if training and cell.recurrent_dropout:
        hidden = hidden * cell.get_recurrent_dropout_mask(hidden)
    return inputs, hidden
