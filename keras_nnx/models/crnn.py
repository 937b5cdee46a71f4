"""Convolutions over a picture, and recurrence along its width."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from keras_nnx import _checks
from keras_nnx.models import _head, _recurrent

_OWNER = "CRNN"


def CRNN(
    input_shape: tuple[int, int | None, int],
    classes: int = 1000,
    filters: Sequence[int] = (32, 64, 128),
    units: Sequence[int] = (64, 64),
    cell: str = "lstm",
    bidirectional: bool = True,
    width_halvings: int = 2,
    dropout: float = 0.0,
    block_options: dict[str, Any] | None = None,
    include_top: bool = True,
    pooling: str | None = None,
    classifier_activation: Any = "softmax",
    name: str = "crnn",
) -> keras.Model:
    """Build a network that reads a picture as a sequence of columns: written lines, spectrograms.

    Each stage of convolutions halves the height, the first ones the width too; what is left of a column is one step of
    a recurrent network. For text of unknown places train its logits with `keras.losses.CTC`, whose class 0 is the
    blank.

    Args:
        input_shape: Height, width and channels; the width may be None.
        classes: Number of classes.
        filters: Features of each stage.
        units: Size of the state in each recurrent block.
        cell: `"lstm"` or `"gru"`.
        bidirectional: Whether each block reads the columns from the right too.
        width_halvings: How many of the first stages halve the width.
        dropout: Fraction of features of each recurrent block dropped in training, in [0, 1).
        block_options: More options of `RecurrentBlock`, such as `{"projection_dim": 32}`; they replace what is above.
        include_top: Whether the model ends with a classifier.
        pooling: `"last"`, `"first"`, `"avg"` or `"max"` of the columns, or their average by `"additive"` or
            `"multiplicative"` attention, for one answer to a picture; None answers at every column.
        classifier_activation: Activation of the scores; None for logits.
        name: Name of the model.

    Returns:
        A model from `(b, h, w, c)` to scores `(b, w // 2 ** width_halvings, classes)`, or `(b, classes)` if pooled; to
        features without the classifier.

    Raises:
        ValueError: If an argument is unknown or out of range, or the picture is too low for its stages.

    Example:
        >>> import keras_nnx as nnx
        >>> nnx.models.CRNN((32, None, 1), classes=11, classifier_activation=None).output_shape
        (None, None, 11)

    Source:
        Shi et al., "An End-to-End Trainable Neural Network for Image-based Sequence Recognition" (2015), figure 1.
    """
    units = _recurrent.check_widths(_OWNER, units)
    _checks.probability(_OWNER, "dropout", dropout)
    if not filters:
        raise ValueError(f"{_OWNER}(filters={filters!r}) needs at least one number of filters.")
    if _checks.at_least_zero(_OWNER, "width_halvings", width_halvings) > len(filters):
        raise ValueError(
            f"{_OWNER}(width_halvings={width_halvings}) is more than the {len(filters)} stages: give more filters, or "
            f"halve less."
        )
    given = {"cell": cell, "bidirectional": bidirectional, "dropout": dropout}
    given = _recurrent.options(_OWNER, given, block_options)
    pictures = _picture(input_shape, len(filters), width_halvings)
    x = pictures
    for index, width in enumerate(filters):
        x = _stage(x, index + 1, _checks.positive_integer(_OWNER, "filters", width), 2 if index < width_halvings else 1)
    x = keras.layers.Permute((2, 1, 3), name="columns")(x)
    x = keras.layers.Reshape((-1, x.shape[2] * x.shape[3]), name="steps")(x)
    x, _ = _recurrent.stack(units, given, x)
    x = _recurrent.normalized(_OWNER, x)
    x = _head.pooled(_OWNER, x, _recurrent.pools(x.shape[-1]), pooling, include_top)
    if include_top:
        x = _head.classify(_OWNER, x, classes, classifier_activation)
    return keras.Model(pictures, x, name=name)


def _picture(input_shape: tuple, stages: int, width_halvings: int) -> Any:
    """Return the input, of a height that leaves at least one row."""
    pictures = _head.image_input(_OWNER, input_shape)
    height, width = pictures.shape[1:3]
    if height is None:
        raise ValueError(f"{_OWNER}(input_shape={input_shape!r}) needs to know the height; the width may be None.")
    for side, size, least in (("height", height, 2**stages), ("width", width, 2**width_halvings)):
        if size is not None and size < least:
            raise ValueError(
                f"{_OWNER}(input_shape={input_shape!r}) has the {side} {size}, of which its stages leave nothing: use "
                f"at least {least}, or fewer stages."
            )
    return pictures


def _stage(x: Any, number: int, filters: int, halving: int) -> Any:
    """Return what a convolution finds, of half the height, and of the width divided by `halving`."""
    common = {"data_format": "channels_last"}
    convolution = keras.layers.Conv2D(
        filters,
        3,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=f"convolution_{number}",
        **common,
    )
    x = keras.layers.BatchNormalization(name=f"normalization_{number}")(convolution(x))
    x = keras.layers.Activation("relu", name=f"activation_{number}")(x)
    return keras.layers.MaxPooling2D((2, halving), name=f"pool_{number}", **common)(x)
