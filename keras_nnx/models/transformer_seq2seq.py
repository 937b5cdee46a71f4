"""Transformers that turn one sequence into another."""

from __future__ import annotations

from typing import Any

import keras

from keras_nnx import _checks
from keras_nnx.blocks import TransformerDecoderBlock, TransformerEncoderBlock
from keras_nnx.models import _head
from keras_nnx.models._transformer import (
    DEFAULT,
    VARIANTS,
    check_parts,
    embedding,
    make_blocks,
    normalized,
    placed,
    token_input,
)
from keras_nnx.models._variants import settle

_OWNER = "TransformerSeq2Seq"


def TransformerSeq2Seq(
    input_shape: tuple[tuple[int | None], tuple[int | None]],
    vocabulary_sizes: tuple[int, int],
    classes: int | None = None,
    variant: str | None = None,
    dim: int | None = None,
    depth: int | None = None,
    decoder_depth: int | None = None,
    num_heads: int | None = None,
    hidden_dim: int | None = None,
    order: str | None = None,
    positions: str | None = "sine-cosine",
    dropout: float = 0.0,
    stochastic_depth: float = 0.0,
    mask_zero: bool = True,
    block_options: dict[str, Any] | None = None,
    include_top: bool = True,
    pooling: str | None = None,
    classifier_activation: Any = "softmax",
    name: str = "transformer_seq2seq",
) -> keras.Model:
    """Build a transformer that reads a source and tells the next token of a target, step by step.

    Train it with the target, and the target one step ahead as labels. Without a variant both halves have two pre-norm
    blocks of width 64.

    Args:
        input_shape: `((length,), (length,))` of the token numbers of source and target; the lengths may be None.
        vocabulary_sizes: Number of tokens of the source and of the target.
        classes: Number of scores. Default: one for each token of the target.
        variant: `"Transformer-base"` or `"Transformer-big"`. It sets what follows; what is given besides replaces its
            part.
        dim: Size of a token.
        depth: Number of blocks of the encoder.
        decoder_depth: Number of blocks of the decoder. Default: `depth`.
        num_heads: Attention heads in each; has to divide `dim`.
        hidden_dim: Width of the feed-forward networks. Default: four times `dim`.
        order: `"pre"`, `"post"` or `"parallel"`, as in `TransformerEncoderBlock`.
        positions: `"sine-cosine"`, `"learned"` (of known lengths), `"rotary"`, or None.
        dropout: Fraction of embedded, attention and hidden values dropped in training, in [0, 1).
        stochastic_depth: Probability of skipping a branch of the last blocks in training; earlier blocks have
            proportionally less.
        mask_zero: Whether the token 0 is padding.
        block_options: More options of the blocks.
        include_top: Whether the model ends with a classifier.
        pooling: `"last"`, `"first"`, `"avg"` or `"max"` of the target's steps that are no padding, for one answer to a
            pair of sequences; None answers at every step of the target.
        classifier_activation: Activation of the scores; None for logits.
        name: Name of the model.

    Returns:
        A model from a dictionary of `"source"` `(b, s)` and `"target"` `(b, t)` to scores `(b, t, classes)`, or
        `(b, classes)` if pooled; to features without the classifier.

    Raises:
        ValueError: If an argument is unknown or out of range, or there are not two lengths and two vocabularies.

    Example:
        >>> import keras_nnx as nnx
        >>> nnx.models.TransformerSeq2Seq(((None,), (None,)), vocabulary_sizes=(100, 80)).output_shape
        (None, None, 80)

    Source:
        Vaswani et al., "Attention Is All You Need" (2017), figure 1 and table 3.
    """
    given = {key: value for key, value in locals().items() if key in DEFAULT}
    parts = settle(_OWNER, variant, VARIANTS, DEFAULT, given)
    check_parts(_OWNER, parts, dropout, stochastic_depth)
    _checks.optional_positive_integer(_OWNER, "decoder_depth", decoder_depth)
    _head.check_pairs(_OWNER, input_shape=input_shape, vocabulary_sizes=vocabulary_sizes)
    inputs, embedded = {}, {}
    for side, shape, size in zip(("source", "target"), input_shape, vocabulary_sizes, strict=True):
        inputs[side] = token_input(_OWNER, side, shape)
        x = embedding(_OWNER, f"{side}_embedding", size, parts["dim"], mask_zero)(inputs[side])
        embedded[side] = placed(_OWNER, x, positions, dropout, f"{side}_")
    common = (positions, dropout, stochastic_depth, block_options)
    context, x = embedded["source"], embedded["target"]
    for block in make_blocks(TransformerEncoderBlock, parts, *common, prefix="encoder_"):
        context = block(context)
    context = normalized(context, parts, block_options, "encoder_")
    decoder = {**parts, "depth": decoder_depth or parts["depth"]}
    for block in make_blocks(TransformerDecoderBlock, decoder, *common, prefix="decoder_"):
        x = block(x, context)
    x = normalized(x, parts, block_options, "decoder_")
    x = _head.pooled(_OWNER, x, _head.sequence_pools(), pooling, include_top)
    if include_top:
        x = _head.classify(_OWNER, x, vocabulary_sizes[1] if classes is None else classes, classifier_activation)
    return keras.Model(inputs, x, name=name)
