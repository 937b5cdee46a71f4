"""What the families of convolutional networks share: pixels, blocks by stage, and places to compare."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_nnx.layers import PatchEmbedding
from keras_nnx.models.pretrained.plan import MismatchError, Plan

_PIXELS = "pixel_normalization"
Places = list[tuple[str, Any, Any]]


def blocks_of(model: keras.Model) -> Iterator[tuple[int, int, Any]]:
    """Yield the number of the stage, of the block in it, and the block."""
    for layer in model.layers:
        match = re.fullmatch(r"stage_(\d+)_block_(\d+)", layer.name)
        if match:
            yield int(match[1]), int(match[2]), layer


def start_of(model: keras.Model) -> Any:
    """Return the tensor of the model that its stem reads: the images, or these normalised."""
    names = {layer.name for layer in model.layers}
    return model.get_layer(_PIXELS).output if _PIXELS in names else model.inputs[0]


def carry_pixels(plan: Plan, start: Any) -> None:
    """Carry how the source normalises pixels before `start`, whatever layers it does that with."""
    has = any(layer.name == _PIXELS for layer in plan.model.layers)
    does = start is not plan.source.inputs[0]
    if has != does:
        word, value = ("does", True) if does else ("does not", False)
        raise MismatchError(
            f"{plan.source.name!r} {word} normalise the pixels itself, other than {plan.model.name!r}: build the model "
            f"with include_preprocessing={value}."
        )
    if not has:
        return
    shape = (1, *(side or 8 for side in plan.source.inputs[0].shape[1:]))
    offset, top, probe = (_pixel(plan.source, start, image) for image in _images(shape))
    slope = (top - offset) / 255
    last = _images(shape)[2][0, 0, 0]
    if not (slope > 0).all() or not np.allclose(probe, last * slope + offset, rtol=1e-4, atol=1e-5):
        raise MismatchError(f"{plan.source.name!r} prepares pixels in a way other than by a mean and a deviation.")
    plan.put(_PIXELS, "means", -offset / slope, "the preparation of pixels")
    plan.put(_PIXELS, "deviations", 1 / slope, "the preparation of pixels")


def compare_places(model: keras.Model, source: keras.Model, starts: tuple[Any, Any], places: Places) -> Iterator[tuple]:
    """Yield the name of what leads to each place, and what both models have there for the same random images.

    The size is that of the source, whose padding may be made for it.
    """
    mine, other = starts
    pixels = _random_pixels(model, source)
    yield (
        "the preparation of pixels",
        values_at(model.inputs[0], [mine], pixels)[0] if mine is not model.inputs[0] else pixels,
        values_at(source.inputs[0], [other], pixels)[0] if other is not source.inputs[0] else pixels,
    )
    sides = [theirs or ours or 64 for theirs, ours in zip(source.inputs[0].shape[1:3], mine.shape[1:3], strict=True)]
    images = np.random.default_rng(0).standard_normal((1, *sides, mine.shape[-1])).astype("float32")
    ours = values_at(mine, [place for _, place, _ in places], images)
    theirs = values_at(other, [place for _, _, place in places], images)
    for (name, *_), first, second in zip(places, ours, theirs, strict=True):
        yield name, first, second


def compare_heads(plan: Plan) -> Iterator[tuple]:
    """Yield what both classifiers read of the same random pixels, if one was carried."""
    if plan.heads is None:
        return
    mine, other = plan.heads
    pixels = _random_pixels(plan.model, plan.whole)
    own = plan.model.inputs[0].shape[1:3]
    if isinstance(plan.model.layers[1], PatchEmbedding) and tuple(own) != pixels.shape[1:3]:
        raise MismatchError(
            f"the classifiers of {plan.model.name!r} and {plan.whole.name!r} cannot be compared on images of two "
            f"sizes: pass skip_head=True to keep the model's own."
        )
    first = values_at(plan.model.inputs[0], [mine.input], pixels)[0]
    yield "what leads to the classifier", first, values_at(plan.whole.inputs[0], [other.input], pixels)[0]


def _random_pixels(model: keras.Model, source: keras.Model) -> np.ndarray:
    """Return an image of the source's size, or of the model's, or of 64 pixels where neither has one."""
    given, own = source.inputs[0].shape[1:3], model.inputs[0].shape[1:3]
    sides = [theirs or ours or 64 for theirs, ours in zip(given, own, strict=True)]
    shape = (1, *sides, model.inputs[0].shape[-1])
    return np.random.default_rng(0).uniform(0, 255, shape).astype("float32")


def values_at(start: Any, ends: list[Any], value: np.ndarray) -> list[np.ndarray]:
    """Return what a model has at the tensors `ends` for a value at the tensor `start`."""
    part = keras.Model(start, ends)
    # `call` and not the model itself: the value may be of another size than the model was built for.
    results = part.call(ops.convert_to_tensor(value), training=False)
    return [ops.convert_to_numpy(result) for result in keras.tree.flatten(results)]


def _images(shape: tuple[int, ...]) -> tuple[np.ndarray, ...]:
    ramp = np.linspace(10, 200, shape[-1], dtype="float32")
    return np.zeros(shape, "float32"), np.full(shape, 255, "float32"), np.broadcast_to(ramp, shape)


def _pixel(source: keras.Model, start: Any, image: np.ndarray) -> np.ndarray:
    return values_at(source.inputs[0], [start], image)[0][0, 0, 0].astype("float64")
