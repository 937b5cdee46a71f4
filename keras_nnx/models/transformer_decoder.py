"""Transformer decoders: language models."""

from __future__ import annotations

from typing import Any

import keras

from keras_nnx.blocks import TransformerDecoderBlock
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

_OWNER = "TransformerDecoder"


def TransformerDecoder(
    input_shape: tuple[int | None],
    vocabulary_size: int,
    classes: int | None = None,
    variant: str | None = None,
    dim: int | None = None,
    depth: int | None = None,
    num_heads: int | None = None,
    hidden_dim: int | None = None,
    order: str | None = None,
    positions: str | None = "rotary",
    dropout: float = 0.0,
    stochastic_depth: float = 0.0,
    mask_zero: bool = True,
    tie_embeddings: bool = False,
    block_options: dict[str, Any] | None = None,
    include_top: bool = True,
    pooling: str | None = None,
    classifier_activation: Any = "softmax",
    name: str = "transformer_decoder",
) -> keras.Model:
    """Build a transformer decoder: every token sees itself and earlier ones, and the next one is told.

    Use it for language models. Without a variant it has two pre-norm blocks of width 64.

    Args:
        input_shape: `(length,)` of the token numbers; the length may be None.
        vocabulary_size: Number of tokens.
        classes: Number of scores. Default: one for each token.
        variant: `"Transformer-base"` or `"Transformer-big"`. It sets what follows; what is given besides replaces its
            part.
        dim: Size of a token.
        depth: Number of blocks.
        num_heads: Attention heads in each; has to divide `dim`.
        hidden_dim: Width of the feed-forward networks. Default: four times `dim`.
        order: `"pre"`, `"post"` or `"parallel"`, as in `TransformerDecoderBlock`.
        positions: `"rotary"`, `"sine-cosine"`, `"learned"` (of a known length), or None.
        dropout: Fraction of embedded, attention and hidden values dropped in training, in [0, 1).
        stochastic_depth: Probability of skipping a branch of the last block in training; earlier blocks have
            proportionally less.
        mask_zero: Whether the token 0 is padding.
        tie_embeddings: Whether the scores come from the same vectors as the tokens; there is one for each token then.
        block_options: More options of `TransformerDecoderBlock`, such as `{"normalization": "rms"}`.
        include_top: Whether the model ends with a classifier.
        pooling: `"last"`, `"first"`, `"avg"` or `"max"` of the steps that are no padding, for one answer to a sequence;
            None answers at every step.
        classifier_activation: Activation of the scores; None for logits.
        name: Name of the model.

    Returns:
        A model from `(b, t)` to scores `(b, t, classes)`, or `(b, classes)` if pooled; to features without the
        classifier.

    Raises:
        ValueError: If an argument is unknown or out of range, or `classes` does not fit tied embeddings.

    Example:
        >>> import keras_nnx as nnx
        >>> nnx.models.TransformerDecoder((None,), vocabulary_size=100).output_shape
        (None, None, 100)

    Source:
        Vaswani et al., "Attention Is All You Need" (2017), figure 1, right, without the context; Press and Wolf,
        "Using the Output Embedding to Improve Language Models" (2017), for tied embeddings.
    """
    given = {key: value for key, value in locals().items() if key in DEFAULT}
    parts = settle(_OWNER, variant, VARIANTS, DEFAULT, given)
    check_parts(_OWNER, parts, dropout, stochastic_depth)
    classes = vocabulary_size if classes is None else classes
    if tie_embeddings and classes != vocabulary_size:
        raise ValueError(
            f"{_OWNER}(tie_embeddings=True, classes={classes}) has a vector for each of {vocabulary_size} tokens: "
            f"leave classes out, or the tying."
        )
    tokens = token_input(_OWNER, "tokens", input_shape)
    embed = embedding(_OWNER, "embedding", vocabulary_size, parts["dim"], mask_zero, tie_embeddings)
    x = placed(_OWNER, embed(tokens), positions, dropout)
    for block in make_blocks(TransformerDecoderBlock, parts, positions, dropout, stochastic_depth, block_options):
        x = block(x)
    x = normalized(x, parts, block_options)
    x = _head.pooled(_OWNER, x, _head.sequence_pools(), pooling, include_top)
    if include_top and tie_embeddings:
        scores = keras.layers.Activation(classifier_activation, dtype="float32", name="predictions")
        x = scores(embed(x, reverse=True))
    elif include_top:
        x = _head.classify(_OWNER, x, classes, classifier_activation)
    return keras.Model(tokens, x, name=name)
