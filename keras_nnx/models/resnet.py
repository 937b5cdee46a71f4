"""Residual networks for images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from keras_nnx import _checks
from keras_nnx.blocks import ResidualBlock
from keras_nnx.models import _head


def ResNet(
    input_shape: tuple[int | None, int | None, int],
    classes: int = 10,
    filters: Sequence[int] = (16, 32, 64),
    blocks: Sequence[int] = (2, 2, 2),
    include_top: bool = True,
    pooling: str | None = "avg",
    classifier_activation: Any = "softmax",
    name: str = "resnet",
) -> keras.Model:
    """Build a residual network: one 3 x 3 convolution, then stages of residual blocks, each half the size.

    Args:
        input_shape: Height, width and channels of an image; height and width may be None.
        classes: Number of classes.
        filters: Channels of each stage.
        blocks: Residual blocks in each stage; every stage but the first halves height and width.
        include_top: Whether the model ends with a classifier.
        pooling: Without the classifier: `"avg"`, `"max"`, or None for the feature map. With it: `"avg"` or `"max"`.
        classifier_activation: Activation of the scores; None for logits.
        name: Name of the model.

    Returns:
        A model from `(b, h, w, c)` to scores `(b, classes)`, or to features without the classifier.

    Raises:
        ValueError: If `filters` and `blocks` differ in length, or an argument is unknown or out of range.

    Example:
        >>> import keras_nnx as nnx
        >>> nnx.models.ResNet((8, 8, 1), classes=10).output_shape
        (None, 10)

    Source:
        He et al., "Deep Residual Learning for Image Recognition" (2016), section 4.2 (the CIFAR networks).
    """
    if len(filters) != len(blocks) or not filters:
        raise ValueError(
            f"ResNet(filters={tuple(filters)}, blocks={tuple(blocks)}) needs one number of filters and one of "
            f"blocks for each stage."
        )
    for width, depth in zip(filters, blocks, strict=True):
        _checks.positive_integer("ResNet", "filters", width)
        _checks.positive_integer("ResNet", "blocks", depth)
    pool = _head.choose(
        "ResNet",
        pooling,
        {
            "avg": keras.layers.GlobalAveragePooling2D(data_format="channels_last", name="pool"),
            "max": keras.layers.GlobalMaxPooling2D(data_format="channels_last", name="pool"),
            **({} if include_top else {None: keras.layers.Identity(name="features")}),
        },
    )
    images = keras.Input(input_shape, name="image")
    x = keras.layers.Conv2D(
        filters[0],
        3,
        padding="same",
        use_bias=False,
        data_format="channels_last",
        kernel_initializer="he_normal",
        name="stem",
    )(images)
    x = keras.layers.BatchNormalization(momentum=0.9, name="stem_normalization")(x)
    x = keras.layers.Activation("relu", name="stem_activation")(x)
    for stage, (width, depth) in enumerate(zip(filters, blocks, strict=True), start=1):
        for index in range(1, depth + 1):
            strides = 2 if stage > 1 and index == 1 else 1
            x = ResidualBlock(width, strides=strides, name=f"stage_{stage}_block_{index}")(x)
    x = pool(x)
    if include_top:
        x = _head.classify("ResNet", x, classes, classifier_activation)
    return keras.Model(images, x, name=name)
