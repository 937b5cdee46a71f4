"""Recurrent language models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from keras_nnx import _checks
from keras_nnx.models import _head, _recurrent
from keras_nnx.models._transformer import embedding, token_input

_OWNER = "LanguageModel"


def LanguageModel(
    input_shape: tuple[int | None],
    vocabulary_size: int,
    classes: int | None = None,
    units: Sequence[int] = (64, 64),
    cell: str = "lstm",
    dim: int | None = None,
    dropout: float = 0.0,
    mask_zero: bool = True,
    tie_embeddings: bool = False,
    block_options: dict[str, Any] | None = None,
    include_top: bool = True,
    pooling: str | None = None,
    classifier_activation: Any = "softmax",
    name: str = "language_model",
) -> keras.Model:
    """Build a recurrent language model: every step has read itself and earlier ones, and the next token is told.

    Args:
        input_shape: `(length,)` of the token numbers; the length may be None.
        vocabulary_size: Number of tokens.
        classes: Number of scores. Default: one for each token.
        units: Size of the state in each block.
        cell: `"lstm"` or `"gru"`.
        dim: Size of a token's vector. Default: the first of `units`; of tied embeddings what the last block gives.
        dropout: Fraction of embedded values, and of features of each block, dropped in training, in [0, 1).
        mask_zero: Whether the token 0 is padding.
        tie_embeddings: Whether the scores come from the same vectors as the tokens; there is one for each token then.
        block_options: More options of `RecurrentBlock`, such as `{"projection_dim": 32}`; they replace what is above.
            `bidirectional` is none of them: the next token would be read.
        include_top: Whether the model ends with a classifier.
        pooling: `"last"`, `"first"`, `"avg"` or `"max"` of the steps that are no padding, or their average by
            `"additive"` or `"multiplicative"` attention, for one answer to a sequence; None answers at every step.
        classifier_activation: Activation of the scores; None for logits.
        name: Name of the model.

    Returns:
        A model from `(b, t)` to scores `(b, t, classes)`, or `(b, classes)` if pooled; to features without the
        classifier.

    Raises:
        ValueError: If an argument is unknown or out of range, or `classes` or `dim` does not fit tied embeddings.

    Example:
        >>> import keras_nnx as nnx
        >>> nnx.models.LanguageModel((None,), vocabulary_size=100).output_shape
        (None, None, 100)

    Source:
        Zaremba et al., "Recurrent Neural Network Regularization" (2014); Press and Wolf, "Using the Output Embedding to
        Improve Language Models" (2017), for tied embeddings.
    """
    units = _recurrent.check_widths(_OWNER, units)
    _checks.probability(_OWNER, "dropout", dropout)
    own = (*_recurrent.OWN_OPTIONS, "bidirectional", "merge")
    given = _recurrent.options(_OWNER, {"cell": cell, "dropout": dropout}, block_options, own)
    last = given.get("projection_dim") or units[-1]
    dim = (last if tie_embeddings else units[0]) if dim is None else _checks.positive_integer(_OWNER, "dim", dim)
    classes = vocabulary_size if classes is None else classes
    if tie_embeddings:
        _check_tied(classes, vocabulary_size, dim, last)
    tokens = token_input(_OWNER, "tokens", input_shape)
    embed = embedding(_OWNER, "embedding", vocabulary_size, dim, mask_zero, tie_embeddings)
    x, _ = _recurrent.stack(units, given, _recurrent.dropped(embed(tokens), dropout))
    x = _recurrent.normalized(_OWNER, x)
    x = _head.pooled(_OWNER, x, _recurrent.pools(x.shape[-1]), pooling, include_top)
    if include_top and tie_embeddings:
        scores = keras.layers.Activation(classifier_activation, dtype="float32", name="predictions")
        x = scores(embed(x, reverse=True))
    elif include_top:
        x = _head.classify(_OWNER, x, classes, classifier_activation)
    return keras.Model(tokens, x, name=name)


def _check_tied(classes: int, vocabulary_size: int, dim: int, last: int) -> None:
    if classes != vocabulary_size:
        raise ValueError(
            f"{_OWNER}(tie_embeddings=True, classes={classes}) has a vector for each of {vocabulary_size} tokens: "
            f"leave classes out, or the tying."
        )
    if dim != last:
        raise ValueError(
            f"{_OWNER}(tie_embeddings=True, dim={dim}) cannot compare vectors of size {dim} to the {last} features of "
            f"the last block: use dim={last}, or leave it out."
        )
