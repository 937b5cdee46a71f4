"""Swin transformers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from keras_nnx import _checks
from keras_nnx.blocks import SwinStage
from keras_nnx.models import _head
from keras_nnx.models._variants import settle

_DEFAULT = {"patch_size": 2, "dim": 32, "blocks": (2, 2), "num_heads": (2, 4), "window_size": 4}
_PUBLISHED = {"patch_size": 4, "window_size": 7}
VARIANTS = {
    "Swin-T": {**_PUBLISHED, "dim": 96, "blocks": (2, 2, 6, 2), "num_heads": (3, 6, 12, 24)},
    "Swin-S": {**_PUBLISHED, "dim": 96, "blocks": (2, 2, 18, 2), "num_heads": (3, 6, 12, 24)},
    "Swin-B": {**_PUBLISHED, "dim": 128, "blocks": (2, 2, 18, 2), "num_heads": (4, 8, 16, 32)},
    "Swin-L": {**_PUBLISHED, "dim": 192, "blocks": (2, 2, 18, 2), "num_heads": (6, 12, 24, 48)},
}


def Swin(
    input_shape: tuple[int | None, int | None, int],
    classes: int = 1000,
    variant: str | None = None,
    patch_size: int | None = None,
    dim: int | None = None,
    blocks: Sequence[int] | None = None,
    num_heads: Sequence[int] | None = None,
    window_size: int | None = None,
    dropout: float = 0.0,
    stochastic_depth: float = 0.0,
    include_top: bool = True,
    pooling: str | None = None,
    classifier_activation: Any = "softmax",
    name: str = "swin",
) -> keras.Model:
    """Build a Swin transformer: patches, then stages of attention within shifted windows, each half the size.

    Without a variant it is one for small images: patches of 2 x 2 and two stages of two blocks.

    Args:
        input_shape: Height, width and channels of an image; height and width may be None.
        classes: Number of classes.
        variant: `"Swin-T"`, `"Swin-S"`, `"Swin-B"` or `"Swin-L"`. It sets what follows; what is given besides replaces
            its part.
        patch_size: Side of a patch in pixels, by which the first stage is smaller than the image.
        dim: Features of the first stage; each further stage has twice as many.
        blocks: Blocks in each stage; every second one shifts its windows.
        num_heads: Attention heads in the blocks of each stage.
        window_size: Side of a window in patches.
        dropout: Fraction of attention weights and hidden values dropped in training.
        stochastic_depth: Probability of skipping a branch of the last block in training; earlier blocks have
            proportionally less.
        include_top: Whether the model ends with a classifier.
        pooling: `"avg"` or `"max"`; None is `"avg"` under the classifier, and without it the feature map.
        classifier_activation: Activation of the scores; None for logits.
        name: Name of the model.

    Returns:
        A model from `(b, h, w, c)` to scores `(b, classes)`, or to features without the classifier.

    Raises:
        ValueError: If `blocks` and `num_heads` differ in length, an argument is unknown or out of range, heads do not
            divide what they have to, or the image is smaller than a patch.

    Example:
        >>> import keras_nnx as nnx
        >>> nnx.models.Swin((16, 16, 3), classes=10).output_shape
        (None, 10)

    Source:
        Liu et al., "Swin Transformer: Hierarchical Vision Transformer using Shifted Windows" (2021), section 3.3.
    """
    given = {key: value for key, value in locals().items() if key in _DEFAULT}
    parts = settle("Swin", variant, VARIANTS, _DEFAULT, given)
    blocks, num_heads, patch = parts["blocks"], parts["num_heads"], parts["patch_size"]
    if len(blocks) != len(num_heads) or not blocks:
        raise ValueError(
            f"Swin(blocks={tuple(blocks)}, num_heads={tuple(num_heads)}) needs one number of blocks and one of heads "
            f"for each stage."
        )
    for key, value in (("patch_size", patch), ("dim", parts["dim"]), *(("blocks", depth) for depth in blocks)):
        _checks.positive_integer("Swin", key, value)
    images = _head.image_input("Swin", input_shape, patch, "a patch")
    x = keras.layers.Conv2D(parts["dim"], patch, strides=patch, data_format="channels_last", name="patches")(images)
    x = keras.layers.LayerNormalization(epsilon=1e-5, name="patches_normalization")(x)
    rates = _head.rising(stochastic_depth, sum(blocks))
    for stage, (depth, heads) in enumerate(zip(blocks, num_heads, strict=True), start=1):
        done = sum(blocks[: stage - 1])
        x = SwinStage(
            depth,
            heads,
            parts["window_size"],
            merge=stage > 1,
            dropout=dropout,
            stochastic_depth=rates[done : done + depth],
            name=f"stage_{stage}",
        )(x)
    x = keras.layers.LayerNormalization(epsilon=1e-5, name="normalization")(x)
    x = _head.pooled("Swin", x, _head.image_pools(), pooling, include_top)
    if include_top:
        x = _head.classify("Swin", x, classes, classifier_activation)
    return keras.Model(images, x, name=name)
