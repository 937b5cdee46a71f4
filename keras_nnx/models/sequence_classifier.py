"""Recurrent networks that classify sequences, or each of their steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from keras_nnx import _checks
from keras_nnx.models import _head, _recurrent

_OWNER = "SequenceClassifier"


def SequenceClassifier(
    input_shape: tuple[int | None, ...],
    classes: int = 1000,
    vocabulary_size: int | None = None,
    units: Sequence[int] = (64,),
    cell: str = "lstm",
    bidirectional: bool = False,
    dim: int | None = None,
    dropout: float = 0.0,
    mask_zero: bool = True,
    mask_value: float | None = None,
    block_options: dict[str, Any] | None = None,
    include_top: bool = True,
    pooling: str | None = "avg",
    classifier_activation: Any = "softmax",
    name: str = "sequence_classifier",
) -> keras.Model:
    """Build a recurrent classifier of texts, signals and other sequences.

    Args:
        input_shape: `(length,)` of token numbers, with `vocabulary_size`, or length and features; the length may be
            None.
        classes: Number of classes.
        vocabulary_size: Number of tokens. Default: the input is features.
        units: Size of the state in each block.
        cell: `"lstm"` or `"gru"`.
        bidirectional: Whether each block reads the sequence from its end too. From that end its last step has seen
            itself alone: `pooling="last"` makes little of it.
        dim: Size of the vectors that tokens or features become. Default: the first of `units`.
        dropout: Fraction of embedded values, and of features of each block, dropped in training, in [0, 1).
        mask_zero: Whether the token 0 is padding.
        mask_value: Steps whose features all equal it are padding. Default: there is none.
        block_options: More options of `RecurrentBlock`, such as `{"projection_dim": 32}`; they replace what is above.
        include_top: Whether the model ends with a classifier.
        pooling: `"last"`, `"first"`, `"avg"` or `"max"` of the steps that are no padding, or their average by
            `"additive"` or `"multiplicative"` attention, for one answer to a sequence; None answers at every step.
        classifier_activation: Activation of the scores; None for logits, or for the values of a regression.
        name: Name of the model.

    Returns:
        A model from `(b, t)` or `(b, t, d)` to scores `(b, classes)`, or `(b, t, classes)` if not pooled; to features
        without the classifier.

    Raises:
        ValueError: If an argument is unknown or out of range.

    Example:
        >>> import keras_nnx as nnx
        >>> nnx.models.SequenceClassifier((None,), classes=5, vocabulary_size=100, pooling="additive").output_shape
        (None, 5)

    Source:
        Yang et al., "Hierarchical Attention Networks for Document Classification" (2016), section 2.2, for one level
        with additive attention.
    """
    units = _recurrent.check_widths(_OWNER, units)
    dim = units[0] if dim is None else _checks.positive_integer(_OWNER, "dim", dim)
    _checks.probability(_OWNER, "dropout", dropout)
    given = {"cell": cell, "bidirectional": bidirectional, "dropout": dropout}
    given = _recurrent.options(_OWNER, given, block_options)
    padding = (mask_zero, mask_value)
    inputs, x = _recurrent.start(_OWNER, input_shape, vocabulary_size, dim, padding, dropout)
    x, _ = _recurrent.stack(units, given, x)
    x = _recurrent.normalized(_OWNER, x)
    x = _head.pooled(_OWNER, x, _recurrent.pools(x.shape[-1]), pooling, include_top)
    if include_top:
        x = _head.classify(_OWNER, x, classes, classifier_activation)
    return keras.Model(inputs, x, name=name)
