"""ConvNeXt, first and second version."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from keras_nnx import _checks
from keras_nnx.blocks import ConvNeXtBlock
from keras_nnx.models import _head
from keras_nnx.models._variants import settle

_EPSILON = 1e-6
_DEFAULT = {
    "filters": (32, 64, 128),
    "blocks": (2, 2, 2),
    "patch_size": 2,
    "version": 1,
    "include_preprocessing": False,
}
_FIRST = {  # first number of filters (each stage doubles it) and blocks
    "Tiny": (96, (3, 3, 9, 3)),
    "Small": (96, (3, 3, 27, 3)),
    "Base": (128, (3, 3, 27, 3)),
    "Large": (192, (3, 3, 27, 3)),
    "XLarge": (256, (3, 3, 27, 3)),
}
_SECOND = {
    "Atto": (40, (2, 2, 6, 2)),
    "Femto": (48, (2, 2, 6, 2)),
    "Pico": (64, (2, 2, 6, 2)),
    "Nano": (80, (2, 2, 8, 2)),
    "Tiny": (96, (3, 3, 9, 3)),
    "Base": (128, (3, 3, 27, 3)),
    "Large": (192, (3, 3, 27, 3)),
    "Huge": (352, (3, 3, 27, 3)),
}


def _architecture(first: int, blocks: tuple[int, ...], version: int) -> dict[str, Any]:
    filters = tuple(first * 2**stage for stage in range(4))
    return {
        "filters": filters,
        "blocks": blocks,
        "patch_size": 4,
        "version": version,
        "include_preprocessing": True,
    }


VARIANTS = {
    **{f"ConvNeXt{size}": _architecture(*parts, version=1) for size, parts in _FIRST.items()},
    **{f"ConvNeXtV2{size}": _architecture(*parts, version=2) for size, parts in _SECOND.items()},
}


def ConvNeXt(
    input_shape: tuple[int | None, int | None, int],
    classes: int = 1000,
    variant: str | None = None,
    filters: Sequence[int] | None = None,
    blocks: Sequence[int] | None = None,
    patch_size: int | None = None,
    version: int | None = None,
    layer_scale: float | None = 1e-6,
    stochastic_depth: float = 0.0,
    include_preprocessing: bool | None = None,
    include_top: bool = True,
    pooling: str | None = None,
    classifier_activation: Any = "softmax",
    name: str = "convnext",
) -> keras.Model:
    """Build a ConvNeXt: patches, then stages of blocks with wide depthwise convolutions, each half the size.

    Without a variant it is one for small images: patches of 2 x 2 and three stages of two blocks.

    Args:
        input_shape: Height, width and channels of an image; height and width may be None.
        classes: Number of classes.
        variant: `"ConvNeXtTiny"`, `"ConvNeXtSmall"`, `"ConvNeXtBase"`, `"ConvNeXtLarge"`, `"ConvNeXtXLarge"`; of the
            second version `"ConvNeXtV2Atto"`, `Femto`, `Pico`, `Nano`, `Tiny`, `Base`, `Large` or `Huge`. It sets what
            follows, and `include_preprocessing`; what is given besides replaces its part.
        filters: Channels of each stage.
        blocks: Blocks in each stage.
        patch_size: Side of a patch in pixels, by which the first stage is smaller than the image.
        version: 1, with a gain on each branch, or 2, with global response normalisation.
        layer_scale: What the gain of each branch starts as, in the first version; None for none.
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
        ValueError: If `filters` and `blocks` differ in length, an argument is unknown or out of range, or the image is
            smaller than one step of the last stage.

    Example:
        >>> import keras_nnx as nnx
        >>> nnx.models.ConvNeXt((32, 32, 3), classes=10).output_shape
        (None, 10)

    Source:
        Liu et al., "A ConvNet for the 2020s" (2022), table 9; Woo et al., "ConvNeXt V2" (2023), appendix A.
    """
    given = {key: value for key, value in locals().items() if key in _DEFAULT}
    parts = settle("ConvNeXt", variant, VARIANTS, _DEFAULT, given)
    _check(parts)
    stages = list(zip(parts["filters"], parts["blocks"], strict=True))
    least = parts["patch_size"] * 2 ** (len(stages) - 1)
    images = _head.image_input("ConvNeXt", input_shape, least, f"{len(stages)} stages")
    x = _head.scale_pixels(images, parts["include_preprocessing"])
    rates = iter(_head.rising(stochastic_depth, sum(parts["blocks"])))
    for stage, (width, depth) in enumerate(stages, start=1):
        x = _shrunk(x, width, stage, parts["patch_size"])
        for index in range(1, depth + 1):
            x = ConvNeXtBlock(
                layer_scale=layer_scale if parts["version"] == 1 else None,
                response_normalization=parts["version"] == 2,
                stochastic_depth=next(rates),
                name=f"stage_{stage}_block_{index}",
            )(x)
    x = _head.pooled("ConvNeXt", x, _head.image_pools(), pooling, include_top)
    x = keras.layers.LayerNormalization(epsilon=_EPSILON, name="normalization")(x)
    if include_top:
        x = _head.classify("ConvNeXt", x, classes, classifier_activation)
    return keras.Model(images, x, name=name)


def _check(parts: dict[str, Any]) -> None:
    filters, blocks = parts["filters"], parts["blocks"]
    if len(filters) != len(blocks) or not filters:
        raise ValueError(
            f"ConvNeXt(filters={tuple(filters)}, blocks={tuple(blocks)}) needs one number of filters and one of "
            f"blocks for each stage."
        )
    for key in ("filters", "blocks"):
        for value in parts[key]:
            _checks.positive_integer("ConvNeXt", key, value)
    _checks.positive_integer("ConvNeXt", "patch_size", parts["patch_size"])
    if parts["version"] not in (1, 2):
        raise ValueError(f"ConvNeXt(version={parts['version']!r}) is unknown: choose 1 or 2.")


def _shrunk(x: Any, filters: int, stage: int, patch_size: int) -> Any:
    """Return the input of a stage: patches and a normalisation for the first, the reverse for the others."""
    name = "stem" if stage == 1 else f"stage_{stage}_downsampling"
    size = patch_size if stage == 1 else 2
    norm = keras.layers.LayerNormalization(epsilon=_EPSILON, name=f"{name}_normalization")
    convolution = keras.layers.Conv2D(filters, size, strides=size, data_format="channels_last", name=name)
    return norm(convolution(x)) if stage == 1 else convolution(norm(x))
