"""What the recurrent models share: what comes in, stacks of blocks, and what goes out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from keras_nnx import _checks
from keras_nnx.blocks import AttentionDecoderBlock, RecurrentBlock
from keras_nnx.layers import AdditiveAttentionPooling, MultiplicativeAttentionPooling
from keras_nnx.models import _head
from keras_nnx.models._transformer import embedding, feature_input, token_input

OWN_OPTIONS = ("units", "name", "dtype", "return_state")
_DECODER_OPTIONS = ("cell", "dropout", "residual", "epsilon", "seed")


def check_widths(owner: str, units: Any) -> list[int]:
    """Return the width of each block; there is at least one."""
    if not isinstance(units, list | tuple) or not units:
        raise ValueError(f"{owner}(units={units!r}) needs the width of each block, such as (64, 64).")
    return [_checks.positive_integer(owner, "units", width) for width in units]


def options(owner: str, given: dict[str, Any], more: Any, own: tuple[str, ...] = OWN_OPTIONS) -> dict[str, Any]:
    """Return the options of every block: what the model was given, where `block_options` has nothing else."""
    return {**given, **_checks.options(owner, "block_options", more, own)}


def stack(
    units: Sequence[int], given: dict[str, Any], x: Any, prefix: str = "", return_state: bool = False
) -> tuple[Any, list[Any]]:
    """Return what a stack of recurrent blocks makes of `x`, and the last states of each if asked for."""
    states = []
    for index, width in enumerate(units):
        name = f"{prefix}block_{index + 1}"
        x = RecurrentBlock(width, return_state=return_state, name=name, **_seeded(given, index))(x)
        if return_state:
            x, *last = x
            states.append(last)
    return x, states


def decode(units: Sequence[int], given: dict[str, Any], x: Any, memory: Any, states: list[Any]) -> Any:
    """Return what a stack of decoders makes of `x`, each started from the states of the encoder beside it."""
    known = {key: value for key, value in given.items() if key in _DECODER_OPTIONS}
    for index, (width, start) in enumerate(zip(units, states, strict=True)):
        more = _seeded(known, len(units) + index)
        x = AttentionDecoderBlock(width, name=f"decoder_block_{index + 1}", **more)(x, memory, *start)
    return x


def normalized(owner: str, x: Any, prefix: str = "") -> Any:
    """Return what a stack gives, which is a sum, normalised."""
    if x.shape[-1] == 1:
        raise ValueError(
            f"{owner} would normalise over the one feature that its blocks give, which leaves nothing of it: make the "
            f"last of units larger."
        )
    return keras.layers.LayerNormalization(epsilon=1e-6, name=f"{prefix}normalization")(x)


def start(
    owner: str,
    input_shape: tuple,
    vocabulary_size: int | None,
    dim: int,
    padding: tuple[bool, float | None],
    dropout: float,
) -> tuple[Any, Any]:
    """Return the input of a model and vectors of size `dim` for it, padding told by `(mask_zero, mask_value)`."""
    mask_zero, mask_value = padding
    if vocabulary_size is not None:
        if mask_value is not None:
            raise ValueError(
                f"{owner}(mask_value={mask_value!r}) is for features: padding among tokens is 0, with mask_zero=True."
            )
        inputs = token_input(owner, "tokens", input_shape)
        return inputs, dropped(embedding(owner, "embedding", vocabulary_size, dim, mask_zero)(inputs), dropout)
    inputs = feature_input(owner, input_shape)
    x = inputs if mask_value is None else keras.layers.Masking(mask_value, name="masking")(inputs)
    return inputs, dropped(keras.layers.Dense(dim, name="features")(x), dropout)


def dropped(x: Any, dropout: float, prefix: str = "") -> Any:
    """Return `x` with a part dropped in training."""
    return keras.layers.Dropout(dropout, name=f"{prefix}dropout")(x) if dropout else x


def pools(width: int) -> _head.Pools:
    """Return what reduces a sequence of features of size `width`; None leaves every step."""
    return {
        **_head.sequence_pools(),
        "additive": AdditiveAttentionPooling(width, name="pool"),
        "multiplicative": MultiplicativeAttentionPooling(name="pool"),
    }


def _seeded(given: dict[str, Any], index: int) -> dict[str, Any]:
    """Return options with a seed of its own for each block: with one and the same, all would drop the same."""
    return given if given.get("seed") is None else {**given, "seed": given["seed"] + index}
