"""The spaces that a search knows by name, for pictures of any size and any number of classes."""

from __future__ import annotations

from typing import Any

import keras

from keras_nnx import models
from keras_nnx.tuning.architecture import architectures
from keras_nnx.tuning.hypermodel import Space, space
from keras_nnx.tuning.ranges import Choice, Float, Int
from keras_nnx.tuning.recipe import Recipe

_MOST_TOKENS = 256
_LEAST_SIDE = 2

Shape = tuple[int, int, int]


def vit(input_shape: Shape, classes: int) -> Space:
    """Vision transformers: patches, width, depth, heads, stochastic depth.

    Raises:
        ValueError: If no patches of 2 to 32 pixels fit into a picture.
    """
    sides = [size for size in (2, 4, 8, 16, 32) if not (input_shape[0] % size or input_shape[1] % size)]
    fitting = [size for size in sides if 4 <= input_shape[0] * input_shape[1] // size**2 <= _MOST_TOKENS]
    if not fitting:
        raise ValueError(
            f"The space vit finds no patches of 2 to 32 pixels for pictures of {input_shape}: resize them to sides "
            f"that are multiples of one of these."
        )
    return space(
        models.ViT,
        input_shape=input_shape,
        classes=classes,
        patch_size=Choice(fitting) if len(fitting) > 1 else fitting[0],
        dim=Choice([16, 32, 48, 64, 96], default=64),
        depth=Int(1, 4, default=3),
        num_heads=Choice([2, 4], default=4),
        stochastic_depth=Float(0.0, 0.2, step=0.1, default=0.1),
        recipe=_recipe(),
    )


def resnet(input_shape: Shape, classes: int) -> Space:
    """Residual networks: stages, blocks in each, width, order, gates."""
    return space(
        _resnet,
        scope="ResNet",
        input_shape=input_shape,
        classes=classes,
        width=Choice([8, 16, 24, 32], default=16),
        stages=_stages(input_shape),
        blocks=Int(1, 3),
        order=Choice(["post", "pre"]),
        squeeze=Choice([None, 0.25]),
        recipe=_recipe(),
    )


def convnext(input_shape: Shape, classes: int) -> Space:
    """ConvNeXts: stages, blocks in each, width, version."""
    return space(
        _convnext,
        scope="ConvNeXt",
        input_shape=input_shape,
        classes=classes,
        width=Choice([16, 24, 32, 48], default=32),
        stages=_stages((input_shape[0] // 2, input_shape[1] // 2, input_shape[2])),
        blocks=Int(1, 3),
        version=Choice([1, 2]),
        stochastic_depth=Float(0.0, 0.2, step=0.1),
        recipe=_recipe(),
    )


def blocks(input_shape: Shape, classes: int) -> Space:
    """A small search of architectures: stages, and of each the kind, the number and the width of its blocks."""
    return architectures(input_shape, classes, recipe=_recipe())


def _resnet(width: int, stages: int, blocks: int, **arguments: Any) -> keras.Model:
    filters = tuple(width * 2**stage for stage in range(stages))
    return models.ResNet(filters=filters, blocks=(blocks,) * stages, **arguments)


def _convnext(width: int, stages: int, blocks: int, **arguments: Any) -> keras.Model:
    filters = tuple(width * 2**stage for stage in range(stages))
    return models.ConvNeXt(filters=filters, blocks=(blocks,) * stages, **arguments)


def _stages(input_shape: Shape) -> Any:
    """Return the range of numbers of stages, each of which halves the picture."""
    most, side = 1, min(input_shape[:2])
    while most < 4 and side // 2**most >= _LEAST_SIDE:
        most += 1
    return Int(1, most, default=min(2, most)) if most > 1 else 1


def _recipe() -> Recipe:
    return Recipe(
        optimizer="adamw",
        learning_rate=Float(3e-4, 1e-2, sampling="log", default=2e-3),
        weight_decay=Float(1e-3, 0.3, sampling="log", default=0.05),
        schedule=Choice(["cosine", "one-cycle", "warmup-stable-decay"]),
        clipnorm=1.0,
    )
