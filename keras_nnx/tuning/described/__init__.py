"""Suggested search spaces of every model and block of this package."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from keras_nnx import blocks, models
from keras_nnx.tuning._names import label
from keras_nnx.tuning.described._blocks import BLOCKS
from keras_nnx.tuning.described._description import Description
from keras_nnx.tuning.described._images import IMAGES
from keras_nnx.tuning.described._sequences import SEQUENCES
from keras_nnx.tuning.hypermodel import Space, space
from keras_nnx.tuning.recipe import Recipe

_MODELS = {**IMAGES, **SEQUENCES}
DESCRIBED = tuple(sorted([*_MODELS, *BLOCKS]))
"""The names of all builders that `suggested` knows."""


def suggested(
    builder: Callable[..., Any], /, *, recipe: Recipe | None = None, scope: str | None = None, **arguments: Any
) -> Space:
    """Describe what a model or a block of this package may be, as far as you do not say yourself.

    What is worth searching has a range, made for small models and small data: images from 8 x 8 pixels, short
    sequences. All combinations of what is suggested can be built. What decides the shape of the answer has none:
    `pooling` of a model that may answer at every step, strides of a block.

    Args:
        builder: One of `keras_nnx.models` or `keras_nnx.blocks`.
        recipe: How a model is trained. Default: `nnx.tuning.Recipe()`; `nnx.tuning.knobs()` searches that too.
        scope: What its names begin with in tables. Default: the name of the builder.
        **arguments: Its arguments, values or ranges, which replace what is suggested. A `variant` replaces all that it
            sets. Where one argument has a value for each stage, the others are suggested for as many stages.

    Returns:
        A `keras_tuner.HyperModel`.

    Raises:
        ValueError: If nothing is known of the builder; those that there are are listed.
        TypeError: If the builder has no such argument, or lacks one; its arguments are listed.

    Example:
        >>> import keras_tuner
        >>> import keras_nnx as nnx
        >>> from keras_nnx.tuning.described import suggested
        >>> digits = suggested(nnx.models.UNet, input_shape=(8, 8, 1), classes=3, filters=(8, 16))
        >>> hp = keras_tuner.HyperParameters()
        >>> digits.build(hp).output_shape
        (None, 8, 8, 3)
        >>> hp.values
        {'UNet/interpolation': 'bilinear', 'UNet/dropout': 0.1}
    """
    chosen = {**arguments, **ranges_of(builder).beside(arguments)}
    order = [*inspect.signature(builder).parameters, *chosen]
    ordered = {name: chosen[name] for name in sorted(chosen, key=order.index)}
    return space(builder, recipe=recipe, scope=scope, **ordered)


def ranges_of(builder: Callable[..., Any]) -> Description:
    """Return the description of a builder.

    Raises:
        ValueError: If there is none.
    """
    name = label(builder)
    for room, known in ((models, _MODELS), (blocks, BLOCKS)):
        if name in known and getattr(room, name) is builder:
            return known[name]
    raise ValueError(
        f"suggested({name}) has nothing to suggest: describe it with space(), or choose one of {', '.join(DESCRIBED)}."
    )
