"""Transformer encoders for tokens and for sequences of vectors."""

from __future__ import annotations

from typing import Any

import keras

from keras_nnx.blocks import TransformerEncoderBlock
from keras_nnx.models import _head
from keras_nnx.models._transformer import (
    DEFAULT,
    VARIANTS,
    check_parts,
    embedding,
    feature_input,
    make_blocks,
    normalized,
    placed,
    token_input,
)
from keras_nnx.models._variants import settle

_OWNER = "TransformerEncoder"


def TransformerEncoder(
    input_shape: tuple,
    classes: int = 1000,
    vocabulary_size: int | None = None,
    variant: str | None = None,
    dim: int | None = None,
    depth: int | None = None,
    num_heads: int | None = None,
    hidden_dim: int | None = None,
    order: str | None = None,
    positions: str | None = "sine-cosine",
    dropout: float = 0.0,
    stochastic_depth: float = 0.0,
    mask_value: float | None = 0,
    block_options: dict[str, Any] | None = None,
    include_top: bool = True,
    pooling: str | None = None,
    classifier_activation: Any = "softmax",
    name: str = "transformer_encoder",
) -> keras.Model:
    """Build a transformer encoder: every step of a sequence sees every other.

    Use it to classify sequences or their steps. Without a variant it has two pre-norm blocks of width 64.

    Args:
        input_shape: `(length,)` of token numbers, or `(length, features)`; the length may be None.
        classes: Number of classes.
        vocabulary_size: Number of tokens, for token numbers under it. Default: the input has features.
        variant: `"Transformer-base"` or `"Transformer-big"`. It sets what follows; what is given besides replaces its
            part.
        dim: Size of a token.
        depth: Number of blocks.
        num_heads: Attention heads in each; has to divide `dim`.
        hidden_dim: Width of the feed-forward networks. Default: four times `dim`.
        order: `"pre"`, `"post"` or `"parallel"`, as in `TransformerEncoderBlock`.
        positions: `"sine-cosine"`, `"learned"` (of a known length), `"rotary"`, or None.
        dropout: Fraction of embedded, attention and hidden values dropped in training, in [0, 1).
        stochastic_depth: Probability of skipping a branch of the last block in training; earlier blocks have
            proportionally less.
        mask_value: Steps whose features all equal it are padding; of token numbers, 0 is. None for no padding.
        block_options: More options of `TransformerEncoderBlock`.
        include_top: Whether the model ends with a classifier.
        pooling: `"avg"`, `"max"`, `"first"` or `"last"` of the steps that are no padding, for one answer to a sequence;
            None answers at every step.
        classifier_activation: Activation of the scores; None for logits.
        name: Name of the model.

    Returns:
        A model from `(b, t)` or `(b, t, d)` to scores `(b, t, classes)`, or `(b, classes)` if pooled; to features
        without the classifier.

    Raises:
        ValueError: If an argument is unknown or out of range, or the input has the wrong number of axes.

    Example:
        >>> import keras_nnx as nnx
        >>> nnx.models.TransformerEncoder((None,), classes=3, vocabulary_size=100, pooling="avg").output_shape
        (None, 3)

    Source:
        Vaswani et al., "Attention Is All You Need" (2017), figure 1, left.
    """
    given = {key: value for key, value in locals().items() if key in DEFAULT}
    parts = settle(_OWNER, variant, VARIANTS, DEFAULT, given)
    check_parts(_OWNER, parts, dropout, stochastic_depth)
    if vocabulary_size is None:
        inputs = feature_input(_OWNER, input_shape)
        x = inputs if mask_value is None else keras.layers.Masking(mask_value, name="masking")(inputs)
        x = keras.layers.Dense(parts["dim"], name="projection")(x)
    else:
        _check_mask_value(mask_value)
        inputs = token_input(_OWNER, "tokens", input_shape)
        x = embedding(_OWNER, "embedding", vocabulary_size, parts["dim"], mask_value is not None)(inputs)
    x = placed(_OWNER, x, positions, dropout)
    for block in make_blocks(TransformerEncoderBlock, parts, positions, dropout, stochastic_depth, block_options):
        x = block(x)
    x = normalized(x, parts, block_options)
    x = _head.pooled(_OWNER, x, _head.sequence_pools(), pooling, include_top)
    if include_top:
        x = _head.classify(_OWNER, x, classes, classifier_activation)
    return keras.Model(inputs, x, name=name)


def _check_mask_value(mask_value: float | None) -> None:
    if mask_value not in (None, 0):
        raise ValueError(f"{_OWNER}(mask_value={mask_value!r}) of token numbers is 0, or None for no padding.")
