"""U-Nets: a score for every pixel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from keras_nnx import _checks
from keras_nnx.blocks import UNetDecoderBlock, UNetEncoderBlock
from keras_nnx.models import _head
from keras_nnx.models._variants import settle

_DEFAULT = {"filters": (16, 32, 64)}
VARIANTS = {"U-Net": {"filters": (64, 128, 256, 512, 1024)}}


def UNet(
    input_shape: tuple[int | None, int | None, int],
    classes: int = 2,
    variant: str | None = None,
    filters: Sequence[int] | None = None,
    interpolation: str = "bilinear",
    dropout: float = 0.0,
    include_top: bool = True,
    pooling: str | None = None,
    classifier_activation: Any = "softmax",
    name: str = "unet",
) -> keras.Model:
    """Build a U-Net: an encoder that halves the image, a decoder that doubles it, joined at every size.

    Use it to tell what every pixel belongs to. Without a variant it is a small one of three sizes.

    Args:
        input_shape: Height, width and channels of an image; height and width may be None, and need not be even.
        classes: Number of classes of a pixel, background included.
        variant: `"U-Net"`, the five sizes of the paper; `filters` replaces it.
        filters: Channels at each size, from the whole image to the smallest.
        interpolation: How the decoder makes pixels: `"bilinear"` or `"nearest"`.
        dropout: Fraction of the features dropped in training before the classifier, in [0, 1).
        include_top: Whether the model ends with a classifier of pixels.
        pooling: None keeps every pixel; `"avg"` and `"max"` reduce the picture to one vector, for one score.
        classifier_activation: Activation of the scores; None for logits.
        name: Name of the model.

    Returns:
        A model from `(b, h, w, c)` to scores `(b, h, w, classes)`, or to features without the classifier.

    Raises:
        ValueError: If an argument is unknown or out of range, or a side has less than a pixel at the smallest size.

    Example:
        >>> import keras_nnx as nnx
        >>> nnx.models.UNet((32, 32, 1), classes=11).output_shape
        (None, 32, 32, 11)

    Source:
        Ronneberger et al., "U-Net: Convolutional Networks for Biomedical Image Segmentation" (2015), figure 1, with
        padding, batch normalisation and interpolation.
    """
    parts = settle("UNet", variant, VARIANTS, _DEFAULT, {"filters": filters})
    widths = [_checks.positive_integer("UNet", "filters", width) for width in parts["filters"]]
    if not widths:
        raise ValueError("UNet(filters=()) needs at least one number of filters.")
    _checks.probability("UNet", "dropout", dropout)
    images = _head.image_input("UNet", input_shape, 2 ** (len(widths) - 1), f"a U-Net of {len(widths)} sizes")
    x, skips = images, []
    for level, width in enumerate(widths, start=1):
        x = UNetEncoderBlock(width, halve=level > 1, name=f"encoder_{level}")(x)
        skips.append(x)
    for level in range(len(widths) - 1, 0, -1):
        block = UNetDecoderBlock(widths[level - 1], interpolation=interpolation, name=f"decoder_{level}")
        x = block(x, skips[level - 1])
    pools = {**_head.image_pools(), None: lambda features: features}
    x = _head.pooled("UNet", x, pools, pooling, include_top)
    if include_top:
        x = _head.classify("UNet", x, classes, classifier_activation, dropout)
    return keras.Model(images, x, name=name)
