"""Residual networks of keras.applications."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras

from keras_nnx.blocks import BottleneckBlock, ResidualBlock
from keras_nnx.models.pretrained.plan import Plan
from keras_nnx.models.pretrained.stages import blocks_of, compare_places

HEAD = ("logits", "predictions")
NAME = "ResNet"
_LAYERS: dict[tuple[int, ...], int] = {(3, 4, 6, 3): 50, (3, 4, 23, 3): 101, (3, 8, 36, 3): 152}
MARK = r"conv2_block1_(1|preact)_(conv|bn)"


def takes(model: keras.Model) -> bool:
    """Return whether a model is one of this family."""
    return any(isinstance(block, ResidualBlock | BottleneckBlock) for *_, block in blocks_of(model))


def fill(plan: Plan) -> None:
    """Note all weights but the classifier's."""
    stem = plan.theirs("conv1_conv", "stem")
    if plan.ours("stem").use_bias:
        plan.convolution("stem", stem)
    else:
        plan.convolution("stem", stem, ("stem_normalization", plan.theirs("conv1_bn", "stem_normalization")))
    for stage, number, block in blocks_of(plan.model):
        _fill_block(plan, block, f"conv{stage + 1}_block{number}")
    if any(layer.name == "last_normalization" for layer in plan.model.layers):
        plan.batch_normalization("last_normalization", plan.theirs("post_bn", "last_normalization"))


def _fill_block(plan: Plan, block: Any, prefix: str) -> None:
    pre = block.order == "pre"

    def other(name: str) -> Any:
        return plan.theirs(f"{prefix}_{name}", block.name)

    if pre:
        plan.batch_normalization(f"{block.name}/normalization_0", other("preact_bn"))
    count = 3 if isinstance(block, BottleneckBlock) else 2
    if block.projects:
        norm = None if pre else (f"{block.name}/shortcut_normalization", other("0_bn"))
        plan.convolution(f"{block.name}/shortcut_convolution", other("0_conv"), norm)
    for number in range(1, count + 1):
        bare = pre and number == count
        norm = None if bare else (f"{block.name}/normalization_{number}", other(f"{number}_bn"))
        plan.convolution(f"{block.name}/convolution_{number}", other(f"{number}_conv"), norm)


def compare(model: keras.Model, source: keras.Model) -> Iterator[tuple]:
    """Yield what both give at the entrance of every block, and at the end."""
    places, before = [], "the stem"
    for stage, number, block in blocks_of(model):
        entrance = "preact_bn" if block.order == "pre" else "1_conv"
        places.append((before, block.input, source.get_layer(f"conv{stage + 1}_block{number}_{entrance}").input))
        before, pre = block.name, block.order == "pre"
    end = "post_relu" if pre else f"conv{stage + 1}_block{number}_out"
    mine = model.get_layer("last_activation").output if pre else block.output
    places.append((before, mine, source.get_layer(end).output))
    yield from compare_places(model, source, (model.inputs[0], source.inputs[0]), places)


def from_file(model: keras.Model, **arguments: Any) -> keras.Model | None:
    """Return a network of keras.applications as deep as the model, without its weights."""
    depths = {stage: number for stage, number, _ in blocks_of(model)}
    pre = any(block.order == "pre" for *_, block in blocks_of(model))
    layers = _LAYERS.get(tuple(depths.values()))
    if layers is None:
        return None
    return getattr(keras.applications, f"ResNet{layers}{'V2' if pre else ''}")(weights=None, **arguments)
