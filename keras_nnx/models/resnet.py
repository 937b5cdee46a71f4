"""Residual networks for images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from keras_nnx import _checks
from keras_nnx.blocks import BottleneckBlock, ResidualBlock
from keras_nnx.models import _head
from keras_nnx.models._variants import settle

_EPSILON = 1.001e-5
_STEMS = ("small", "large", "deep")
_NARROW, _WIDE = (64, 128, 256, 512), (256, 512, 1024, 2048)
_DEPTHS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
_DEFAULT = {
    "filters": (16, 32, 64),
    "blocks": (2, 2, 2),
    "bottleneck": None,
    "groups": 1,
    "order": "post",
    "shortcut": "projection",
    "squeeze": None,
    "stem": "small",
    "strides_first": False,
}


def _variants() -> dict[str, dict[str, Any]]:
    known: dict[str, dict[str, Any]] = {}
    for layers, blocks in _DEPTHS.items():
        basic = {"filters": _NARROW, "blocks": blocks, "stem": "large"}
        deep = {"filters": _WIDE, "blocks": blocks, "stem": "large", "bottleneck": 0.25}
        plain = basic if layers < 50 else deep
        known[f"ResNet{layers}"] = {**plain, "strides_first": layers >= 50}
        known[f"ResNet{layers}V2"] = {**plain, "order": "pre"}
        known[f"ResNet{layers}D"] = {**plain, "stem": "deep", "shortcut": "average"}
        known[f"SEResNet{layers}"] = {**plain, "squeeze": 1 / 16}
        if layers >= 50:
            known[f"ResNeXt{layers}_32x4d"] = {**deep, "bottleneck": 0.5, "groups": 32}
            known[f"SEResNeXt{layers}_32x4d"] = {**deep, "bottleneck": 0.5, "groups": 32, "squeeze": 1 / 16}
    known["ResNeXt101_32x8d"] = {**known["ResNeXt101_32x4d"], "bottleneck": 1.0}
    return known


VARIANTS = _variants()


def ResNet(
    input_shape: tuple[int | None, int | None, int],
    classes: int = 1000,
    variant: str | None = None,
    filters: Sequence[int] | None = None,
    blocks: Sequence[int] | None = None,
    bottleneck: float | None = None,
    groups: int | None = None,
    order: str | None = None,
    shortcut: str | None = None,
    squeeze: float | None = None,
    stem: str | None = None,
    strides_first: bool | None = None,
    stochastic_depth: float = 0.0,
    include_top: bool = True,
    pooling: str | None = None,
    classifier_activation: Any = "softmax",
    name: str = "resnet",
) -> keras.Model:
    """Build a residual network: a stem, then stages of residual blocks, each half the size.

    Without a variant it is one for small images: a 3 x 3 convolution and three stages of two blocks.

    Args:
        input_shape: Height, width and channels of an image; height and width may be None.
        classes: Number of classes.
        variant: `"ResNet18"`, `"ResNet34"`, `"ResNet50"`, `"ResNet101"` or `"ResNet152"`; one of these with `V2` behind
            (normalised before each convolution) or `D` (deep stem, averaged shortcuts), or with `SE` before it (gated
            channels); `"ResNeXt50_32x4d"`, `"ResNeXt101_32x4d"`, `"ResNeXt101_32x8d"`, `"ResNeXt152_32x4d"`, and those
            of `32x4d` with `SE` before. It sets what follows; what is given besides replaces its part.
        filters: Channels of each stage.
        blocks: Residual blocks in each stage; every stage but the first halves height and width.
        bottleneck: Inner channels over the channels of a bottleneck block; without, a block is two convolutions.
        groups: Groups of the convolution in the middle of a bottleneck.
        order: `"post"` or `"pre"`, as in `ResidualBlock`; with `"pre"` the last block of a stage halves the size, as in
            `keras.applications`.
        shortcut: `"projection"` or `"average"`, as in `ResidualBlock`.
        squeeze: Width of the gates over the channels, in (0, 1]; without, there are none.
        stem: `"small"`: a 3 x 3 convolution; `"large"`: one of 7 x 7 and a pooling, which make a quarter of the size;
            `"deep"`: three of 3 x 3 and the pooling.
        strides_first: Whether the first convolution of a bottleneck strides, as in `keras.applications`.
        stochastic_depth: Probability of skipping the last block in training; earlier ones have proportionally less.
        include_top: Whether the model ends with a classifier.
        pooling: `"avg"` or `"max"`; None is `"avg"` under the classifier, and without it the feature map.
        classifier_activation: Activation of the scores; None for logits.
        name: Name of the model.

    Returns:
        A model from `(b, h, w, c)` to scores `(b, classes)`, or to features without the classifier.

    Raises:
        ValueError: If `filters` and `blocks` differ in length, or an argument is unknown or out of range.

    Example:
        >>> import keras_nnx as nnx
        >>> nnx.models.ResNet((32, 32, 3), classes=10, variant="ResNet18", stem="small").output_shape
        (None, 10)

    Source:
        He et al., "Deep Residual Learning for Image Recognition" (2016), table 1; without a variant, its section 4.2;
        "Identity Mappings in Deep Residual Networks" (2016); Xie et al. (2017), Hu et al. (2018) and "Bag of Tricks
        for Image Classification" (2019) for `ResNeXt`, `SE` and `D`.
    """
    given = {key: value for key, value in locals().items() if key in _DEFAULT}
    parts = settle("ResNet", variant, VARIANTS, _DEFAULT, given)
    _check_stages(parts)
    _checks.probability("ResNet", "stochastic_depth", stochastic_depth)
    images = _head.image_input("ResNet", input_shape)
    x = _stem(images, parts)
    rates = iter(_head.rising(stochastic_depth, sum(parts["blocks"])))
    pre = parts["order"] == "pre"
    for stage, (width, depth) in enumerate(zip(parts["filters"], parts["blocks"], strict=True), start=1):
        for index in range(1, depth + 1):
            halves = (index == depth and stage < len(parts["blocks"])) if pre else (index == 1 and stage > 1)
            block = _block(width, 2 if halves else 1, next(rates), parts, f"stage_{stage}_block_{index}")
            x = block(x)
    if pre:
        x = _normalized(x, "last")
    x = _head.pooled("ResNet", x, _head.image_pools(), pooling, include_top)
    if include_top:
        x = _head.classify("ResNet", x, classes, classifier_activation)
    return keras.Model(images, x, name=name)


def _check_stages(parts: dict[str, Any]) -> None:
    filters, blocks = parts["filters"], parts["blocks"]
    if len(filters) != len(blocks) or not filters:
        raise ValueError(
            f"ResNet(filters={tuple(filters)}, blocks={tuple(blocks)}) needs one number of filters and one of "
            f"blocks for each stage."
        )
    for width, depth in zip(filters, blocks, strict=True):
        _checks.positive_integer("ResNet", "filters", width)
        _checks.positive_integer("ResNet", "blocks", depth)
    _checks.one_of("ResNet", "stem", parts["stem"], _STEMS)
    if parts["bottleneck"] is not None:
        _checks.share("ResNet", "bottleneck", parts["bottleneck"])
    elif parts["groups"] != 1:
        raise ValueError(
            f"ResNet(groups={parts['groups']}) is for bottleneck blocks: give bottleneck too, such as 0.5."
        )


def _block(width: int, strides: int, rate: float, parts: dict[str, Any], name: str) -> keras.layers.Layer:
    common = {key: parts[key] for key in ("order", "shortcut", "squeeze")}
    common = {**common, "strides": strides, "stochastic_depth": rate, "epsilon": _EPSILON, "name": name}
    if parts["bottleneck"] is None:
        return ResidualBlock(width, **common)
    inner = max(1, round(width * parts["bottleneck"]))
    return BottleneckBlock(
        width, inner_filters=inner, groups=parts["groups"], strides_first=parts["strides_first"], **common
    )


def _stem(images: Any, parts: dict[str, Any]) -> Any:
    """Return the stem's features: normalised and activated, but where the first block does it."""
    bare = parts["order"] == "pre"
    if parts["stem"] == "small":
        x = _convolution(images, parts["filters"][0], 3, 1, "stem", with_bias=bare)
        return x if bare else _normalized(x, "stem")
    if parts["stem"] == "large":
        x = _convolution(images, 64, 7, 2, "stem", with_bias=bare)
    else:
        x = _normalized(_convolution(images, 32, 3, 2, "stem_1"), "stem_1")
        x = _normalized(_convolution(x, 32, 3, 1, "stem_2"), "stem_2")
        x = _convolution(x, 64, 3, 1, "stem", with_bias=bare)
    if not bare:
        x = _normalized(x, "stem")
    # Zeros around it are as good as nothing behind an activation, and what keras.applications has elsewhere.
    x = keras.layers.ZeroPadding2D(1, data_format="channels_last", name="stem_pool_padding")(x)
    return keras.layers.MaxPooling2D(3, strides=2, data_format="channels_last", name="stem_pool")(x)


def _convolution(x: Any, filters: int, size: int, strides: int, name: str, with_bias: bool = False) -> Any:
    """Return a convolution with as many zeros before as behind."""
    if strides > 1:
        x = keras.layers.ZeroPadding2D(size // 2, data_format="channels_last", name=f"{name}_padding")(x)
    return keras.layers.Conv2D(
        filters,
        size,
        strides=strides,
        padding="valid" if strides > 1 else "same",
        use_bias=with_bias,
        data_format="channels_last",
        kernel_initializer="he_normal",
        name=name,
    )(x)


def _normalized(x: Any, name: str) -> Any:
    x = keras.layers.BatchNormalization(momentum=0.9, epsilon=_EPSILON, name=f"{name}_normalization")(x)
    return keras.layers.Activation("relu", name=f"{name}_activation")(x)
