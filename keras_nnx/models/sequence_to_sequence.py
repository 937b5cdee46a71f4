"""Recurrent networks that turn one sequence into another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from keras_nnx import _checks
from keras_nnx.models import _head, _recurrent
from keras_nnx.models._transformer import embedding, token_input

_OWNER = "SequenceToSequence"


def SequenceToSequence(
    input_shape: tuple[tuple[int | None], tuple[int | None]],
    vocabulary_sizes: tuple[int, int],
    classes: int | None = None,
    units: Sequence[int] = (64,),
    cell: str = "lstm",
    bidirectional: bool = True,
    dim: int | None = None,
    dropout: float = 0.0,
    mask_zero: bool = True,
    block_options: dict[str, Any] | None = None,
    include_top: bool = True,
    pooling: str | None = None,
    classifier_activation: Any = "softmax",
    name: str = "sequence_to_sequence",
) -> keras.Model:
    """Build an encoder and a decoder with attention: a source is read, and the next token of a target is told.

    Train it with the target behind a start token, and the target itself as labels (teacher forcing);
    `keras_nnx.models.greedy_decoder` makes a model of it that needs no target. Each block of the decoder starts from
    the last states of the encoder's block beside it, and reads what the encoder gives.

    Args:
        input_shape: `((length,), (length,))` of the token numbers of source and target; the lengths may be None.
        vocabulary_sizes: Number of tokens of the source and of the target.
        classes: Number of scores. Default: one for each token of the target.
        units: Size of the state in each block of the encoder, and of the decoder.
        cell: `"lstm"` or `"gru"`.
        bidirectional: Whether the encoder reads the source from its end too.
        dim: Size of a token's vector. Default: the first of `units`.
        dropout: Fraction of embedded values, and of features of each block, dropped in training, in [0, 1).
        mask_zero: Whether the token 0 is padding. Padding of the source is not read. That of the target stands at its
            end, where it cannot reach what is before; the decoder computes it like any token, and losses leave it out.
        block_options: More options of `RecurrentBlock` and, as far as it has them, of `AttentionDecoderBlock`, such as
            `{"epsilon": 1e-3}`; they replace what is above.
        include_top: Whether the model ends with a classifier.
        pooling: `"last"`, `"first"`, `"avg"` or `"max"` of the target's steps that are no padding, or their average by
            `"additive"` or `"multiplicative"` attention, for one answer to a pair of sequences; None answers at every
            step of the target.
        classifier_activation: Activation of the scores; None for logits.
        name: Name of the model.

    Returns:
        A model from a dictionary of `"source"` `(b, s)` and `"target"` `(b, t)` to scores `(b, t, classes)`, or
        `(b, classes)` if pooled; to features without the classifier.

    Raises:
        ValueError: If an argument is unknown or out of range, or there are not two lengths and two vocabularies.

    Example:
        >>> import keras_nnx as nnx
        >>> nnx.models.SequenceToSequence(((None,), (None,)), vocabulary_sizes=(100, 80)).output_shape
        (None, None, 80)

    Source:
        Sutskever et al., "Sequence to Sequence Learning with Neural Networks" (2014); Luong et al., "Effective
        Approaches to Attention-based Neural Machine Translation" (2015), section 3.1, without input feeding.
    """
    _head.check_pairs(_OWNER, input_shape=input_shape, vocabulary_sizes=vocabulary_sizes)
    units = _recurrent.check_widths(_OWNER, units)
    dim = units[0] if dim is None else _checks.positive_integer(_OWNER, "dim", dim)
    _checks.probability(_OWNER, "dropout", dropout)
    given = {"cell": cell, "bidirectional": bidirectional, "dropout": dropout}
    given = _recurrent.options(_OWNER, given, block_options)
    inputs, embedded = {}, {}
    for side, shape, size in zip(("source", "target"), input_shape, vocabulary_sizes, strict=True):
        inputs[side] = token_input(_OWNER, side, shape)
        x = embedding(_OWNER, f"{side}_embedding", size, dim, mask_zero)(inputs[side])
        embedded[side] = _recurrent.dropped(x, dropout, f"{side}_")
    memory, states = _recurrent.stack(units, given, embedded["source"], "encoder_", return_state=True)
    memory = _recurrent.normalized(_OWNER, memory, "encoder_")
    x = _recurrent.decode(units, given, embedded["target"], memory, states)
    x = _recurrent.normalized(_OWNER, x, "decoder_")
    x = _head.pooled(_OWNER, x, _recurrent.pools(x.shape[-1]), pooling, include_top)
    if include_top:
        x = _head.classify(_OWNER, x, vocabulary_sizes[1] if classes is None else classes, classifier_activation)
    return keras.Model(inputs, x, name=name)
