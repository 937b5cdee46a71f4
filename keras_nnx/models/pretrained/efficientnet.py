"""EfficientNet of keras.applications."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_nnx.blocks import InvertedResidualBlock
from keras_nnx.models.pretrained.plan import Plan
from keras_nnx.models.pretrained.stages import blocks_of, carry_pixels, compare_places, start_of

HEAD = ("logits", "predictions")
NAME = "EfficientNet"
MARK = r"block1a_dwconv"
_PUBLISHED_DEVIATIONS = (0.229, 0.224, 0.225)


def takes(model: keras.Model) -> bool:
    """Return whether a model is one of this family."""
    return any(isinstance(block, InvertedResidualBlock) for *_, block in blocks_of(model))


def fill(plan: Plan) -> None:
    """Note all weights but the classifier's."""
    carry_pixels(plan, _stem_start(plan.source))
    for path in ("stem", "top"):
        norm = (f"{path}_normalization", plan.theirs(f"{path}_bn", path))
        plan.convolution(path, plan.theirs(f"{path}_conv", path), norm)
    for stage, number, block in blocks_of(plan.model):
        _fill_block(plan, block, f"block{stage}{chr(96 + number)}_")


def _fill_block(plan: Plan, block: Any, prefix: str) -> None:
    def other(name: str) -> Any:
        return plan.theirs(f"{prefix}{name}", block.name)

    convolutions = (("widen", "expand_conv", "expand_bn"), ("depthwise", "dwconv", "bn"))
    for own, convolution, norm in (*convolutions, ("narrow", "project_conv", "project_bn")):
        if hasattr(block, own):
            norms = (f"{block.name}/{own}_normalization", other(norm))
            plan.convolution(f"{block.name}/{own}", other(convolution), norms)
    if block.squeeze is not None:
        plan.dense(f"{block.name}/gate/squeeze", other("se_reduce"))
        plan.dense(f"{block.name}/gate/excite", other("se_expand"))


def mend(source: keras.Model) -> None:
    """Square the deviations that published files of weights hold in the place of variances.

    Keras divides by their roots in a layer of its own, which no such file has.
    """
    norm = next((layer for layer in source.layers if isinstance(layer, keras.layers.Normalization)), None)
    if norm is None or norm.adapt_variance is None:
        return
    variance = ops.convert_to_numpy(norm.adapt_variance).reshape(-1)
    if variance.shape == (3,) and np.allclose(variance, _PUBLISHED_DEVIATIONS, atol=1e-3):
        norm.adapt_variance.assign(ops.square(norm.adapt_variance))
        norm.finalize_state()


def _stem_start(source: keras.Model) -> Any:
    names = {layer.name for layer in source.layers}
    return source.get_layer("stem_conv_pad" if "stem_conv_pad" in names else "stem_conv").input


def compare(model: keras.Model, source: keras.Model) -> Iterator[tuple]:
    """Yield what both give at the entrance of every block, and at the end."""
    names, places, before = {layer.name for layer in source.layers}, [], "the stem"
    for stage, number, block in blocks_of(model):
        prefix = f"block{stage}{chr(96 + number)}_"
        entrances = (f"{prefix}{name}" for name in ("expand_conv", "dwconv_pad", "dwconv"))
        entrance = next(name for name in entrances if name in names)
        places.append((before, block.input, source.get_layer(entrance).input))
        before = block.name
    end = "top_activation"
    places.append((before, model.get_layer(end).output, source.get_layer(end).output))
    yield from compare_places(model, source, (start_of(model), _stem_start(source)), places)


def from_file(model: keras.Model, **arguments: Any) -> keras.Model | None:
    """Return a network of keras.applications of the same stages, without its weights."""
    mine = [(block.filters, number) for _, number, block in blocks_of(model)]
    for size in range(8):
        source = getattr(keras.applications, f"EfficientNetB{size}")(weights=None, **arguments)
        theirs = _stages_of(source)
        if theirs == mine:
            return source
    return None


def _stages_of(source: keras.Model) -> list[tuple[int, int]]:
    """Return the filters and the number of every block."""
    end = "_project_conv"
    names = [layer.name for layer in source.layers if layer.name.endswith(end)]
    return [(source.get_layer(name).filters, ord(name.removesuffix(end)[-1]) - 96) for name in names]
