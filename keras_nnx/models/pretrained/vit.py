"""Vision transformers of KerasHub."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_nnx.layers import ClassToken, PatchEmbedding
from keras_nnx.layers.position_embedding import resized_positions
from keras_nnx.models.pretrained.plan import MismatchError, Plan
from keras_nnx.models.pretrained.stages import values_at

HEAD = ("logits", "predictions")
NAME = "ViT"
MARK = r"vit_patching_and_embedding"
_ENTRANCE, _ENCODER = "vit_patching_and_embedding", "vit_encoder"


def takes(model: keras.Model) -> bool:
    """Return whether a model is one of this family."""
    names = {layer.name for layer in model.layers}
    return any(isinstance(layer, PatchEmbedding) for layer in model.layers) and "block_1" in names


def fill(plan: Plan) -> None:
    """Note all weights but the classifier's."""
    entrance = plan.theirs(_ENTRANCE, "patches")
    if entrance.data_format != "channels_last":
        raise MismatchError(f"{plan.source.name!r} takes channels first: build it with channels last.")
    patches = entrance.patch_embedding
    plan.agree("patches/projection", patches, "strides")
    plan.put("patches/projection", "kernel", patches.kernel, patches.name, patches.kernel)
    bias = np.zeros(patches.filters) if patches.bias is None else plan.taken(patches.bias)
    plan.put("patches/projection", "bias", bias, patches.name)
    _fill_positions(plan, entrance)
    encoder = plan.theirs(_ENCODER, "block_1")
    blocks = [layer for layer in plan.model.layers if layer.name.startswith("block_")]
    if len(blocks) != len(encoder.encoder_layers):
        few = min(len(blocks), len(encoder.encoder_layers)) + 1
        raise MismatchError(
            f"block_{few} has no counterpart: {plan.model.name!r} has {len(blocks)} blocks, {plan.source.name!r} "
            f"{len(encoder.encoder_layers)}."
        )
    for block, other in zip(blocks, encoder.encoder_layers, strict=True):
        _fill_block(plan, block, other)
    plan.layer_normalization("normalization", encoder.layer_norm)


def _fill_positions(plan: Plan, entrance: Any) -> None:
    """Carry the positions, resized if the images are of another size; the token of no place keeps what is added."""
    table = plan.taken(entrance.position_embedding.embeddings)
    tokens = [layer for layer in plan.model.layers if isinstance(layer, ClassToken)]
    mine = tokens[0].token.shape[1] if tokens else 0
    if mine != int(entrance.use_class_token):
        raise MismatchError(
            f"{plan.model.name!r} puts {mine} tokens in front of the patches, but {plan.source.name!r} "
            f"{int(entrance.use_class_token)}: a class token comes with pooling='token' or None, none with 'avg' or "
            f"'max', and registers are not in the source."
        )
    if tokens:
        value = plan.taken(entrance.class_token) + table[0]
        plan.put("tokens", "token", value, "class_token")
        table = table[1:]
    sides = zip(entrance.image_size, entrance.patch_size, strict=True)
    old = tuple(side // patch for side, patch in sides)
    if table.shape[1] == plan.ours("positions").positions.shape[1]:
        table = resized_positions(table, old, plan.ours("positions").grid, 0)
    plan.put("positions", "positions", table, "position_embedding")


def _fill_block(plan: Plan, block: Any, other: Any) -> None:
    name, attention = block.name, other.mha
    if block.order != "pre":
        raise MismatchError(f"{name} of {plan.model.name!r} has order={block.order!r}, but {other.name} is 'pre'.")
    plan.agree(f"{name}/attention", attention, "num_heads")
    plan.layer_normalization(f"{name}/attention_norm", other.layer_norm_1)
    for own, theirs in (("query", "query"), ("key", "key"), ("value", "value"), ("output_projection", "output")):
        plan.dense(f"{name}/attention/{own}", getattr(attention, f"_{theirs}_dense"))
    plan.layer_normalization(f"{name}/feed_forward_norm", other.layer_norm_2)
    plan.dense(f"{name}/feed_forward/widen", other.mlp.dense_1)
    plan.dense(f"{name}/feed_forward/narrow", other.mlp.dense_2)


def compare(model: keras.Model, source: keras.Model) -> Iterator[tuple]:
    """Yield what both encoders give for the same random tokens, and for the same images if they take one size."""
    random = np.random.default_rng(0)
    start, encoder = model.get_layer("block_1").input, source.get_layer(_ENCODER)
    end = model.get_layer("normalization").output
    tokens = random.standard_normal((1, 5, start.shape[-1])).astype("float32")
    blocks = [layer for layer in model.layers if layer.name.startswith("block_")]
    ours = values_at(start, [*(block.output for block in blocks), end], tokens)
    theirs = ops.convert_to_tensor(tokens)
    for block, other, value in zip(blocks, encoder.encoder_layers, ours[:-1], strict=True):
        theirs = other(theirs, training=False)
        yield block.name, value, ops.convert_to_numpy(theirs)
    yield "normalization", ours[-1], ops.convert_to_numpy(encoder.layer_norm(theirs))
    if model.inputs[0].shape[1:] == source.inputs[0].shape[1:]:
        images = random.standard_normal((1, *model.inputs[0].shape[1:])).astype("float32")
        ends = ((model, end), (source, encoder.output))
        mine, theirs = (values_at(each.inputs[0], [last], images)[0] for each, last in ends)
        yield "the stem", mine, theirs


def image_shapes(model: keras.Model, found: dict[str, tuple[int, ...]]) -> list[tuple[int, ...]]:
    """Return the sizes that the images of a file's network may have: those of the model, or squares."""
    height, width, channels = model.inputs[0].shape[1:]
    patches = model.get_layer("patches")
    patch = patches.patch_size
    own_tokens = int(any(isinstance(layer, ClassToken) for layer in model.layers))
    shapes: list[tuple[int, ...]] = [(height, width, channels)]
    for shape in found.values():
        side = math.isqrt(max(0, shape[0] - own_tokens)) if len(shape) == 2 and shape[1] == patches.dim else 0
        if isinstance(patch, int) and side and side**2 == shape[0] - own_tokens:
            shapes.append((side * patch, side * patch, channels))
    return shapes


def from_file(model: keras.Model, input_shape: Any, **arguments: Any) -> keras.Model | None:
    """Return a network of KerasHub of the same sizes, without its weights."""
    try:
        import keras_hub  # type: ignore[import-untyped]
    except ImportError as error:
        raise ImportError("A weights file of a KerasHub model needs KerasHub: pip install keras-hub") from error
    blocks = [layer for layer in model.layers if layer.name.startswith("block_")]
    patch = model.get_layer("patches").patch_size
    return keras_hub.models.ViTBackbone(
        image_shape=tuple(input_shape),
        patch_size=patch if isinstance(patch, int) else tuple(patch),
        num_layers=len(blocks),
        num_heads=blocks[0].num_heads,
        hidden_dim=model.get_layer("patches").dim,
        mlp_dim=blocks[0].hidden_dim,
        use_class_token=any(isinstance(layer, ClassToken) for layer in model.layers),
    )
