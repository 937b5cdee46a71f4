"""What the transformer models share: embedded sequences and stacks of blocks."""

from __future__ import annotations

from typing import Any

import keras

from keras_nnx import _checks
from keras_nnx._registration import register
from keras_nnx.layers import PositionEmbedding
from keras_nnx.models import _head

POSITIONS = ("sine-cosine", "learned", "rotary")
DEFAULT = {"dim": 64, "depth": 2, "num_heads": 4, "hidden_dim": None, "order": "pre"}
VARIANTS = {  # table 3 of the paper, which normalises the sums
    "Transformer-base": {"dim": 512, "depth": 6, "num_heads": 8, "hidden_dim": 2048, "order": "post"},
    "Transformer-big": {"dim": 1024, "depth": 6, "num_heads": 16, "hidden_dim": 4096, "order": "post"},
}


def token_input(owner: str, name: str, input_shape: tuple) -> Any:
    """Return the input of a model that takes token numbers."""
    shape = _head.plain_shape(input_shape)
    if len(shape) != 1:
        raise ValueError(f"{owner}(input_shape={input_shape!r}) needs the length of a sequence alone, such as (None,).")
    return keras.Input(shape, dtype="int32", name=name)


def feature_input(owner: str, input_shape: tuple) -> Any:
    """Return the input of a model that takes vectors."""
    shape = _head.plain_shape(input_shape)
    if len(shape) != 2 or shape[-1] is None:
        raise ValueError(
            f"{owner}(input_shape={input_shape!r}) needs length and features, such as (None, 3); for token numbers, "
            f"give vocabulary_size and the length alone."
        )
    return keras.Input(shape, name="sequence")


def embedding(owner: str, name: str, vocabulary_size: int, dim: int, mask_zero: bool, tied: bool = False) -> Any:
    """Return a layer of vectors for token numbers; a tied one can turn vectors back into scores."""
    _checks.positive_integer(owner, "vocabulary_size", vocabulary_size)
    kind = keras.layers.ReversibleEmbedding if tied else keras.layers.Embedding
    start = keras.initializers.RandomNormal(stddev=0.02)
    return kind(vocabulary_size, dim, embeddings_initializer=start, mask_zero=mask_zero, name=name)


def placed(owner: str, x: Any, positions: str | None, dropout: float, prefix: str = "") -> Any:
    """Return a sequence with its positions added, if the attention does not turn them in."""
    if positions is not None:
        _checks.one_of(owner, "positions", positions, POSITIONS)
    if positions in ("sine-cosine", "learned"):
        x = PositionEmbedding(positions, name=f"{prefix}positions")(x)
    return keras.layers.Dropout(dropout, name=f"{prefix}dropout")(x) if dropout else x


def check_parts(owner: str, parts: dict[str, Any], dropout: float, stochastic_depth: float) -> None:
    """Check what all transformer models take."""
    for key in ("dim", "depth", "num_heads"):
        _checks.positive_integer(owner, key, parts[key])
    _checks.probability(owner, "dropout", dropout)
    _checks.probability(owner, "stochastic_depth", stochastic_depth)


def make_blocks(
    kind: Any,
    parts: dict[str, Any],
    positions: str | None,
    dropout: float,
    stochastic_depth: float,
    block_options: dict[str, Any] | None,
    prefix: str = "",
) -> list[Any]:
    """Return a stack of blocks, the skipping of branches rising, with rotating positions if asked for."""
    blocks = []
    for index, rate in enumerate(_head.rising(stochastic_depth, parts["depth"]), start=1):
        options = {"order": parts["order"], "dropout": dropout, "stochastic_depth": rate, **(block_options or {})}
        if positions == "rotary":
            options["attention_options"] = {"rotary": {}, **(options.get("attention_options") or {})}
        hidden = 4 * parts["dim"] if parts["hidden_dim"] is None else parts["hidden_dim"]
        blocks.append(kind(parts["num_heads"], hidden, name=f"{prefix}block_{index}", **options))
    return blocks


def normalized(x: Any, parts: dict[str, Any], block_options: dict[str, Any] | None, prefix: str = "") -> Any:
    """Return what a stack gives, normalised unless its last sum was."""
    options = {"order": parts["order"], **(block_options or {})}
    if options["order"] == "post":
        return x
    kinds = {"layer": keras.layers.LayerNormalization, "rms": MaskedRMSNormalization}
    kind = kinds[options.get("normalization", "layer")]
    return kind(epsilon=options.get("epsilon", 1e-6), name=f"{prefix}normalization")(x)


@register
class MaskedRMSNormalization(keras.layers.RMSNormalization):
    """`keras.layers.RMSNormalization` that passes its mask on, which Keras forgot."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
