"""EfficientNet."""

from __future__ import annotations

import math
from typing import Any

import keras

from keras_nnx import _checks
from keras_nnx.blocks import InvertedResidualBlock
from keras_nnx.models import _head
from keras_nnx.models._variants import settle

_STAGES = (  # expansion, kernel size, strides, filters, blocks
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)
_MULTIPLE = 8
_DEFAULT = {"width": 1.0, "depth": 1.0, "dropout": 0.2, "stem_strides": 2, "include_preprocessing": False}
_SCALES = {  # width, depth, dropout
    "B0": (1.0, 1.0, 0.2),
    "B1": (1.0, 1.1, 0.2),
    "B2": (1.1, 1.2, 0.3),
    "B3": (1.2, 1.4, 0.3),
    "B4": (1.4, 1.8, 0.4),
    "B5": (1.6, 2.2, 0.4),
    "B6": (1.8, 2.6, 0.5),
    "B7": (2.0, 3.1, 0.5),
}
VARIANTS = {
    f"EfficientNet{size}": {"width": width, "depth": depth, "dropout": dropout, "include_preprocessing": True}
    for size, (width, depth, dropout) in _SCALES.items()
}


def EfficientNet(
    input_shape: tuple[int | None, int | None, int],
    classes: int = 1000,
    variant: str | None = None,
    width: float | None = None,
    depth: float | None = None,
    dropout: float | None = None,
    stem_strides: int | None = None,
    stochastic_depth: float = 0.2,
    include_preprocessing: bool | None = None,
    include_top: bool = True,
    pooling: str | None = None,
    classifier_activation: Any = "softmax",
    name: str = "efficientnet",
) -> keras.Model:
    """Build an EfficientNet: seven stages of inverted residual blocks, as wide and as deep as asked for.

    Args:
        input_shape: Height, width and channels of an image; height and width may be None.
        classes: Number of classes.
        variant: `"EfficientNetB0"` to `"EfficientNetB7"`. It sets what follows, and `include_preprocessing`; what is
            given besides replaces its part.
        width: Channels over those of B0; rounded to multiples of 8.
        depth: Blocks over those of B0; rounded up.
        dropout: Fraction of the pooled features dropped in training before the classifier, in [0, 1).
        stem_strides: Step of the first convolution; 1 keeps small images from becoming too small.
        stochastic_depth: Probability of skipping the last block in training; earlier ones have proportionally less.
        include_preprocessing: Whether the model takes pixels of 0 to 255 and normalises them itself. Default: only a
            variant does, as in `keras.applications`.
        include_top: Whether the model ends with a classifier.
        pooling: `"avg"` or `"max"`; None is `"avg"` under the classifier, and without it the feature map.
        classifier_activation: Activation of the scores; None for logits.
        name: Name of the model.

    Returns:
        A model from `(b, h, w, c)` to scores `(b, classes)`, or to features without the classifier.

    Raises:
        ValueError: If an argument is unknown or out of range.

    Example:
        >>> import keras_nnx as nnx
        >>> nnx.models.EfficientNet((32, 32, 3), classes=10, width=0.25, depth=0.5, stem_strides=1).output_shape
        (None, 10)

    Source:
        Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks" (2019), table 1.
    """
    given = {key: value for key, value in locals().items() if key in _DEFAULT}
    parts = settle("EfficientNet", variant, VARIANTS, _DEFAULT, given)
    for key in ("width", "depth"):
        _checks.positive_number("EfficientNet", key, parts[key])
    for key, value in (("dropout", parts["dropout"]), ("stochastic_depth", stochastic_depth)):
        _checks.probability("EfficientNet", key, value)
    _checks.positive_integer("EfficientNet", "stem_strides", parts["stem_strides"])
    images = _head.image_input("EfficientNet", input_shape)
    x = _head.scale_pixels(images, parts["include_preprocessing"])
    x = _convolved(x, _channels(32, parts["width"]), 3, parts["stem_strides"], "stem")
    repeats = [math.ceil(parts["depth"] * blocks) for *_, blocks in _STAGES]
    rates = iter(_head.rising(stochastic_depth, sum(repeats)))
    for stage, (expansion, size, strides, filters, _) in enumerate(_STAGES, start=1):
        for index in range(1, repeats[stage - 1] + 1):
            x = InvertedResidualBlock(
                _channels(filters, parts["width"]),
                expansion,
                size,
                strides=strides if index == 1 else 1,
                stochastic_depth=next(rates),
                name=f"stage_{stage}_block_{index}",
            )(x)
    x = _convolved(x, _channels(1280, parts["width"]), 1, 1, "top")
    x = _head.pooled("EfficientNet", x, _head.image_pools(), pooling, include_top)
    if include_top:
        x = _head.classify("EfficientNet", x, classes, classifier_activation, parts["dropout"])
    return keras.Model(images, x, name=name)


def _channels(base: int, width: float) -> int:
    """Return `width` times the channels, as a multiple of 8 that is at least 90% of that."""
    scaled = base * width
    rounded = max(_MULTIPLE, int(scaled + _MULTIPLE / 2) // _MULTIPLE * _MULTIPLE)
    return rounded + _MULTIPLE if rounded < 0.9 * scaled else rounded


def _convolved(x: Any, filters: int, size: int, strides: int, name: str) -> Any:
    x = keras.layers.Conv2D(
        filters,
        size,
        strides=strides,
        padding="same",
        use_bias=False,
        data_format="channels_last",
        kernel_initializer="he_normal",
        name=name,
    )(x)
    x = keras.layers.BatchNormalization(momentum=0.9, name=f"{name}_normalization")(x)
    return keras.layers.Activation("silu", name=f"{name}_activation")(x)
