"""Architectures: which blocks a convolutional classifier is made of, how many, and how wide."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from keras_nnx import _checks, blocks
from keras_nnx.models import _head
from keras_nnx.tuning.described import ranges_of
from keras_nnx.tuning.described._common import DROPOUT, KERNEL, activation
from keras_nnx.tuning.hypermodel import Space, space
from keras_nnx.tuning.ranges import Choice, Int, Repeat
from keras_nnx.tuning.recipe import Recipe

_OWNER = "convolutional_classifier"
_LEAST_SIDE = 4
"""A map that is smaller is not halved."""


def convolutional_classifier(
    input_shape: tuple[int | None, int | None, int],
    classes: int,
    stages: Sequence[Mapping[str, Any]] = ({"block": "residual", "width": 16}, {"block": "residual", "width": 32}),
    dropout: float = 0.0,
    classifier_activation: Any = "softmax",
    name: str = _OWNER,
) -> keras.Model:
    """Build a classifier of images: a convolution, stages of blocks of any kind, and a pooling.

    Each stage but the first halves a map of at least 4 pixels, and brings it to its width, by a convolution; blocks
    follow that keep both.

    Args:
        input_shape: Height, width and channels of an image; height and width may be None.
        classes: Number of classes.
        stages: For each stage a dictionary of its `"block"`, its `"width"` in channels and its `"repeats"`, 1 if left
            out. A block is `"residual"`, `"bottleneck"`, `"inverted_residual"`, `"convnext"`, `"plain"` (a convolution,
            normalised and activated), or a class of layers, which is told the width if it takes `filters`; or a
            dictionary of that as its `"kind"` and of its options.
        dropout: Fraction of the pooled features dropped in training, in [0, 1).
        classifier_activation: Activation of the scores; None for logits.
        name: Name of the model.

    Returns:
        A model from `(b, h, w, c)` to scores `(b, classes)`.

    Raises:
        ValueError: If there is no stage, a block is unknown, or a number is out of range.

    Example:
        >>> from keras_nnx.tuning.architecture import convolutional_classifier
        >>> stages = [
        ...     {"block": "plain", "width": 16},
        ...     {"block": {"kind": "convnext", "kernel_size": 3}, "width": 32, "repeats": 2},
        ... ]
        >>> convolutional_classifier((8, 8, 1), classes=10, stages=stages).output_shape
        (None, 10)
    """
    if not stages:
        raise ValueError(f"{_OWNER}(stages={stages!r}) needs at least one stage.")
    _checks.probability(_OWNER, "dropout", dropout)
    images = _head.image_input(_OWNER, input_shape)
    x = images
    for number, stage in enumerate(stages, start=1):
        width = _checks.positive_integer(_OWNER, "width", stage.get("width"))
        x = _entered(x, width, number)
        for repeat in range(1, _checks.positive_integer(_OWNER, "repeats", stage.get("repeats", 1)) + 1):
            x = _block(stage.get("block"), width, f"stage_{number}_block_{repeat}")(x)
    x = keras.layers.GlobalAveragePooling2D(data_format="channels_last", name="pool")(x)
    x = keras.layers.LayerNormalization(epsilon=1e-6, name="normalization")(x)
    x = _head.classify(_OWNER, x, classes, classifier_activation, dropout)
    return keras.Model(images, x, name=name)


def architectures(
    input_shape: tuple[int | None, int | None, int],
    classes: int,
    *,
    stages: tuple[int, int] = (1, 3),
    widths: Sequence[int] = (16, 32, 64),
    blocks: Sequence[str] = ("residual", "bottleneck", "inverted_residual", "convnext", "plain"),
    recipe: Recipe | None = None,
) -> Space:
    """Describe convolutional classifiers whose stages may be of any kind.

    Searched are how many stages there are, and of each the kind of its blocks, their number and their width; of a kind
    its own knobs, where it is chosen. The names begin with `architecture`.

    Args:
        input_shape: Height, width and channels of an image; height and width may be None.
        classes: Number of classes.
        stages: The least and the largest number of stages.
        widths: What the channels of a stage may be.
        blocks: What the blocks of a stage may be, as in `convolutional_classifier`.
        recipe: How a model is trained. Default: `nnx.tuning.Recipe()`.

    Returns:
        A `keras_tuner.HyperModel`.

    Raises:
        ValueError: If a block is unknown, or the numbers of stages are not in order.

    Example:
        >>> import keras_tuner
        >>> from keras_nnx.tuning.architecture import architectures
        >>> digits = architectures((8, 8, 1), classes=10, stages=(1, 2), blocks=("plain", "convnext"))
        >>> hp = keras_tuner.HyperParameters()
        >>> digits.build(hp).output_shape
        (None, 10)
        >>> hp.values["architecture/stages/1/block"], hp.values["architecture/stages/1/block=plain/kernel_size"]
        ('plain', 3)
    """
    least, most = stages
    _checks.positive_integer("architectures", "stages", least)
    stage = {
        "block": Choice({name: {"kind": name, **_knobs(name)} for name in blocks}),
        "width": Choice(list(widths), default=widths[len(widths) // 2]),
        "repeats": Int(1, 3),
    }
    return space(
        convolutional_classifier,
        recipe=recipe,
        scope="architecture",
        input_shape=input_shape,
        classes=classes,
        stages=Repeat(stage, least if least == most else Int(least, most, default=min(most, least + 1))),
        dropout=DROPOUT,
    )


def _plain(filters: int, kernel_size: int = 3, activation: Any = "relu", name: str = "plain") -> Callable[[Any], Any]:
    """Return a convolution, normalised and activated."""
    convolution = keras.layers.Conv2D(
        filters,
        kernel_size,
        padding="same",
        use_bias=False,
        data_format="channels_last",
        kernel_initializer="he_normal",
        name=f"{name}_convolution",
    )
    normalization = keras.layers.BatchNormalization(momentum=0.9, name=f"{name}_normalization")
    last = keras.layers.Activation(activation, name=f"{name}_activation")
    return lambda x: last(normalization(convolution(x)))


_KINDS: dict[str, Callable[..., Any]] = {
    "residual": blocks.ResidualBlock,
    "bottleneck": blocks.BottleneckBlock,
    "inverted_residual": blocks.InvertedResidualBlock,
    "convnext": blocks.ConvNeXtBlock,
    "plain": _plain,
}


def _kind(block: Any) -> Callable[..., Any]:
    """Return what makes a block."""
    found = _KINDS.get(block) if isinstance(block, str) else block
    if not callable(found):
        raise ValueError(
            f"The block {block!r} is unknown: choose one of {', '.join(_KINDS)}, or give a class of layers."
        )
    return found


def _knobs(name: str) -> dict[str, Any]:
    """Return what may be searched of a kind of block, but for its width."""
    kind = _kind(name)
    if kind is _plain:
        return {"kernel_size": KERNEL, "activation": activation("relu")}
    return {key: value for key, value in ranges_of(kind).ranges.items() if key != "filters"}


def _block(block: Any, width: int, name: str) -> Any:
    """Return a new block."""
    options = {"kind": block} if not isinstance(block, Mapping) else dict(block)
    kind = _kind(options.pop("kind", None))
    if "filters" in inspect.signature(kind).parameters:
        options["filters"] = width
    return kind(**options, name=name)


def _entered(x: Any, width: int, number: int) -> Any:
    """Return what goes into the blocks of a stage: of its width, and smaller than before if it can be."""
    strides = 2 if number > 1 and all(side is None or side >= _LEAST_SIDE for side in x.shape[1:3]) else 1
    if number > 1 and strides == 1 and x.shape[-1] == width:
        return x
    name = "stem" if number == 1 else f"stage_{number}_entry"
    convolution = keras.layers.Conv2D(
        width,
        3,
        strides=strides,
        padding="same",
        use_bias=False,
        data_format="channels_last",
        kernel_initializer="he_normal",
        name=name,
    )
    x = keras.layers.BatchNormalization(momentum=0.9, name=f"{name}_normalization")(convolution(x))
    return keras.layers.Activation("relu", name=f"{name}_activation")(x)
