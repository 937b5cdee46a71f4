"""Temporal convolutional networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from keras_nnx import _checks
from keras_nnx.blocks import TemporalConvolutionBlock
from keras_nnx.models import _head

_OWNER = "TemporalConvNet"


def TemporalConvNet(
    input_shape: tuple[int | None, int],
    classes: int = 1000,
    filters: Sequence[int] = (32, 32, 32, 32),
    kernel_size: int = 3,
    causal: bool = True,
    dropout: float = 0.0,
    mask_value: float | None = None,
    include_top: bool = True,
    pooling: str | None = None,
    classifier_activation: Any = "softmax",
    name: str = "temporal_convnet",
) -> keras.Model:
    """Build a temporal convolutional network: blocks whose convolutions look twice as far back as the one before.

    The last block sees `1 + 2 * (kernel_size - 1) * (2 ** len(filters) - 1)` steps.

    Args:
        input_shape: Length and features of a sequence; the length may be None.
        classes: Number of classes.
        filters: Features of each block.
        kernel_size: How many steps one convolution looks at.
        causal: Whether a step sees itself and earlier ones only.
        dropout: Fraction of features dropped in training, in [0, 1).
        mask_value: Steps whose features all equal it are padding. Default: there is none.
        include_top: Whether the model ends with a classifier.
        pooling: `"last"`, `"first"`, `"avg"` or `"max"` of the steps that are no padding, for one answer to a sequence;
            None answers at every step.
        classifier_activation: Activation of the scores; None for logits, or for the values of a regression.
        name: Name of the model.

    Returns:
        A model from `(b, t, d)` to scores `(b, t, classes)`, or `(b, classes)` if pooled; to features without the
        classifier.

    Raises:
        ValueError: If an argument is unknown or out of range.

    Example:
        >>> import keras_nnx as nnx
        >>> nnx.models.TemporalConvNet((None, 3), classes=5, pooling="last").output_shape
        (None, 5)

    Source:
        Bai et al., "An Empirical Evaluation of Generic Convolutional and Recurrent Networks for Sequence Modeling"
        (2018), section 3.
    """
    shape = _head.plain_shape(input_shape)
    if len(shape) != 2 or shape[-1] is None:
        raise ValueError(f"{_OWNER}(input_shape={input_shape!r}) needs length and features, such as (None, 3).")
    if len(filters) == 0:
        raise ValueError(f"{_OWNER}(filters=()) needs at least one number of filters.")
    sequences = keras.Input(shape, name="sequence")
    x = sequences if mask_value is None else keras.layers.Masking(mask_value, name="masking")(sequences)
    for index, width in enumerate(filters):
        x = TemporalConvolutionBlock(
            _checks.positive_integer(_OWNER, "filters", width),
            kernel_size,
            dilation=2**index,
            causal=causal,
            dropout=dropout,
            name=f"block_{index + 1}",
        )(x)
    x = _head.pooled(_OWNER, x, _head.sequence_pools(), pooling, include_top)
    if include_top:
        x = _head.classify(_OWNER, x, classes, classifier_activation)
    return keras.Model(sequences, x, name=name)
