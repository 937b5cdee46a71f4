"""ConvNeXt of keras.applications."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import keras

from keras_nnx.blocks import ConvNeXtBlock
from keras_nnx.models.pretrained.plan import MismatchError, Plan
from keras_nnx.models.pretrained.stages import blocks_of, carry_pixels, compare_places, start_of

NAME = "ConvNeXt"
MARK = r"(.+)_stage_0_block_0_depthwise_conv"
_POOLS = (keras.layers.GlobalAveragePooling2D, keras.layers.GlobalMaxPooling2D, keras.layers.LayerNormalization)


def takes(model: keras.Model) -> bool:
    """Return whether a model is one of this family."""
    return any(isinstance(block, ConvNeXtBlock) for *_, block in blocks_of(model))


def head(source: keras.Model) -> tuple[str, str]:
    """Return the names of the classifiers."""
    return "logits", f"{_prefix(source)}_head_dense"


def fill(plan: Plan) -> None:
    """Note all weights but the classifier's."""
    prefix = _prefix(plan.source)
    stem = plan.theirs(f"{prefix}_stem", "stem")
    carry_pixels(plan, _stem_start(plan.source, stem))
    plan.convolution("stem", plan.theirs(f"{prefix}_stem_conv", "stem", stem))
    plan.layer_normalization("stem_normalization", plan.theirs(f"{prefix}_stem_layernorm", "stem", stem))
    for stage, number, block in blocks_of(plan.model):
        if number == 1 and stage > 1:
            _fill_downsampling(plan, stage, prefix)
        _fill_block(plan, block, f"{prefix}_stage_{stage - 1}_block_{number - 1}")
    plan.layer_normalization("normalization", _last_normalization(plan))


def _fill_downsampling(plan: Plan, stage: int, prefix: str) -> None:
    path = f"stage_{stage}_downsampling"
    both = plan.theirs(f"{prefix}_downsampling_block_{stage - 2}", path)
    norm = plan.theirs(f"{prefix}_downsampling_layernorm_{stage - 2}", path, both)
    plan.layer_normalization(f"{path}_normalization", norm)
    plan.convolution(path, plan.theirs(f"{prefix}_downsampling_conv_{stage - 2}", path, both))


def _fill_block(plan: Plan, block: Any, prefix: str) -> None:
    def other(name: str) -> Any:
        return plan.theirs(f"{prefix}_{name}", block.name)

    plan.convolution(f"{block.name}/depthwise", other("depthwise_conv"))
    plan.layer_normalization(f"{block.name}/normalization", other("layernorm"))
    plan.dense(f"{block.name}/widen", other("pointwise_conv_1"))
    plan.dense(f"{block.name}/narrow", other("pointwise_conv_2"))
    if block.layer_scale is not None and not block.response_normalization:
        scale = other("layer_scale")
        plan.put(f"{block.name}/scale", "gain", scale.gamma, scale.name, scale.gamma)


def _last_normalization(plan: Plan) -> Any:
    norms = [layer for layer in plan.source.layers if isinstance(layer, keras.layers.LayerNormalization)]
    last = [layer for layer in norms if "_block_" not in layer.name]
    if not last:
        raise MismatchError(
            f"normalization of {plan.model.name!r} needs the last one of {plan.source.name!r}, which has none."
        )
    return last[-1]


def _stem_start(source: keras.Model, stem: Any) -> Any:
    """Return what the stem reads in the source; its own `input` is that of the small model that it is."""
    return source.layers[source.layers.index(stem) - 1].output


def _prefix(source: keras.Model) -> str:
    return next(match[1] for layer in source.layers if (match := re.fullmatch(MARK, layer.name)))


def compare(model: keras.Model, source: keras.Model) -> Iterator[tuple]:
    """Yield what both give at the entrance of every block, and at the end."""
    prefix, places, before = _prefix(source), [], "the stem"
    for stage, number, block in blocks_of(model):
        entrance = source.get_layer(f"{prefix}_stage_{stage - 1}_block_{number - 1}_depthwise_conv").input
        places.append((before, block.input, entrance))
        before = block.name
    after = next(layer for layer in source.layers if isinstance(layer, _POOLS) and "_block_" not in layer.name)
    places.append((before, block.output, after.input))
    starts = (start_of(model), _stem_start(source, source.get_layer(f"{prefix}_stem")))
    yield from compare_places(model, source, starts, places)


def from_file(model: keras.Model, **arguments: Any) -> keras.Model | None:
    """Return a network of keras.applications of the same stages, without its weights."""
    widths = {stage: block.input.shape[-1] for stage, _, block in blocks_of(model)}
    depths = {stage: number for stage, number, _ in blocks_of(model)}
    known: dict[tuple[int, tuple[int, ...]], str] = {
        (96, (3, 3, 9, 3)): "Tiny",
        (96, (3, 3, 27, 3)): "Small",
        (128, (3, 3, 27, 3)): "Base",
        (192, (3, 3, 27, 3)): "Large",
        (256, (3, 3, 27, 3)): "XLarge",
    }
    size = known.get((widths[1], tuple(depths.values())))
    if size is None:
        return None
    prepares = any(layer.name == "pixel_normalization" for layer in model.layers)
    return getattr(keras.applications, f"ConvNeXt{size}")(weights=None, include_preprocessing=prepares, **arguments)
