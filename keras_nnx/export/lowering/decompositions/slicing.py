"""Decompositions of what moves values about: slices, updates of slices, rolls."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from keras_nnx.export.lowering.graphs import axis_size
from keras_nnx.export.lowering.operators import register_decomposition


@register_decomposition("StridedSlice", targets=("tflite",))
def strided_slice(
    operation: tf.Operation, x: tf.Tensor, begin: tf.Tensor, end: tf.Tensor, strides: tf.Tensor
) -> list[tf.Tensor]:
    """Slice without new axes and ellipses, then put the new axes in: TFLite has those for known shapes only."""
    masks = {key: operation.get_attr(f"{key}_mask") for key in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")}
    count = begin.shape[0]
    if not (masks["new_axis"] or masks["ellipsis"]) or x.shape.rank is None or count is None:
        return NotImplemented
    kept: list[int] = []  # which entries of the specification slice an axis; -1 takes all of it
    new_axes: list[int] = []
    place = 0
    taken = sum(not (masks["new_axis"] | masks["ellipsis"]) >> entry & 1 for entry in range(count))
    for entry in range(count):
        bit = 1 << entry
        if masks["ellipsis"] & bit:
            filled = x.shape.rank - taken
            kept += [-1] * filled
            place += filled
        elif masks["new_axis"] & bit:
            new_axes.append(place)
            place += 1
        else:
            kept.append(entry)
            place += not masks["shrink_axis"] & bit
    result = _slice(x, kept, (begin, end, strides), masks)
    for axis in new_axes:
        result = tf.expand_dims(result, axis)
    return [result]


def _slice(
    x: tf.Tensor, kept: list[int], limits: tuple[tf.Tensor, tf.Tensor, tf.Tensor], masks: dict[str, int]
) -> tf.Tensor:
    """Slice the first axes of `x` by the entries `kept` of a specification."""
    whole = [entry < 0 or bool(masks["begin"] & masks["end"] & ~masks["shrink_axis"] & 1 << entry) for entry in kept]
    steps = tf.get_static_value(limits[2])
    if all(whole) and steps is not None and all(entry < 0 or steps[entry] == 1 for entry in kept):
        return x
    filled = [
        tf.stack([tf.constant(default, limit.dtype) if entry < 0 else limit[entry] for entry in kept])
        for limit, default in zip(limits, (0, 0, 1), strict=True)
    ]

    def mask(key: str, default: bool) -> int:
        return sum(
            (default if entry < 0 else bool(masks[key] >> entry & 1)) << place for place, entry in enumerate(kept)
        )

    return tf.raw_ops.StridedSlice(
        input=x,
        begin=filled[0],
        end=filled[1],
        strides=filled[2],
        begin_mask=mask("begin", True),
        end_mask=mask("end", True),
        shrink_axis_mask=mask("shrink_axis", False),
    )


@register_decomposition("Roll", targets=("tflite",))
def roll(operation: tf.Operation, x: tf.Tensor, shift: tf.Tensor, axis: tf.Tensor) -> list[tf.Tensor]:
    """Cut each axis in two and put the halves together the other way round."""
    axes = tf.get_static_value(axis)
    if axes is None or x.shape.rank is None:
        return NotImplemented
    shifts = tf.reshape(tf.cast(shift, tf.int32), [-1])
    for index, place in enumerate(int(place) % x.shape.rank for place in np.atleast_1d(axes)):
        size = x.shape[place] if x.shape[place] is not None else tf.shape(x)[place]
        known = tf.get_static_value(shifts)
        cut = size - (int(known[index]) % size if known is not None and isinstance(size, int) else shifts[index] % size)
        whole = [slice(None)] * place
        x = tf.concat([x[(*whole, slice(cut, None))], x[(*whole, slice(None, cut))]], place)
    return [x]


_UPDATED = (tf.float32, tf.int32, tf.int64, tf.bool, tf.int8)
"""What TFLite's own operator takes."""


@register_decomposition("XlaDynamicUpdateSlice", targets=("tflite",))
def update_slice_in_tflite(
    operation: tf.Operation, x: tf.Tensor, update: tf.Tensor, start: tf.Tensor
) -> list[tf.Tensor]:
    """Keep what TFLite has an operator for."""
    if x.dtype in _UPDATED and x.shape.rank is not None:
        return NotImplemented
    return list(update_slice(operation, x, update, start))


@register_decomposition("XlaDynamicUpdateSlice", targets=("onnx",))
def update_slice(operation: tf.Operation, x: tf.Tensor, update: tf.Tensor, start: tf.Tensor) -> list[tf.Tensor]:
    """Choose between the old values and the new ones, moved to their place, by the position."""
    rank = x.shape.rank
    if rank is None:
        return NotImplemented
    inside = None
    for axis in range(rank):
        if x.shape[axis] is not None and x.shape[axis] == update.shape[axis]:
            continue  # it starts at 0: XLA moves a start back as far as the update needs
        size, width = tf.shape(x)[axis], tf.shape(update)[axis]
        first = tf.clip_by_value(tf.cast(start[axis], tf.int32), 0, size - width)
        position = tf.range(size) - first
        update = tf.gather(update, tf.clip_by_value(position, 0, width - 1), axis=axis)
        here = tf.logical_and(position >= 0, position < width)
        shape = [1] * rank
        shape[axis] = -1
        here = tf.reshape(here, shape)
        inside = here if inside is None else tf.logical_and(inside, here)
    return [update if inside is None else tf.where(inside, update, x)]


@register_decomposition("XlaDynamicSlice", targets=("onnx", "tflite"))
def dynamic_slice(operation: tf.Operation, x: tf.Tensor, start: tf.Tensor, size: tf.Tensor) -> list[tf.Tensor]:
    """Slice, with the start moved back as far as the size needs."""
    size = tf.cast(size, tf.int32)
    first = tf.clip_by_value(tf.cast(start, tf.int32), 0, tf.shape(x) - size)
    return [tf.slice(x, first, size)]


@register_decomposition("Unpack", targets=("tflite",))
def unpack(operation: tf.Operation, x: tf.Tensor) -> list[tf.Tensor]:
    """Take one slice after the other of the numbers that TFLite does not unpack."""
    if x.dtype in (tf.float32, tf.bool, tf.int8, tf.uint8, tf.int32) or x.shape.rank is None:
        return NotImplemented
    whole = [slice(None)] * (operation.get_attr("axis") % x.shape.rank)
    return [x[(*whole, index)] for index in range(operation.get_attr("num"))]


_MOST_UPDATES = 4096


@register_decomposition("TensorScatterUpdate", targets=("tflite",))
def scatter_update(operation: tf.Operation, x: tf.Tensor, indices: tf.Tensor, updates: tf.Tensor) -> list[tf.Tensor]:
    """Let the last update of a place win: the converter adds them up."""
    known = tf.get_static_value(indices)
    depth, count = indices.shape[-1], indices.shape[:-1].num_elements()
    if known is not None and len(np.unique(known.reshape(-1, depth), axis=0)) == count:
        return NotImplemented
    if depth is None or x.shape.rank is None or (count or 0) > _MOST_UPDATES:
        return NotImplemented
    places = tf.reshape(indices, [-1, depth])
    same = tf.reduce_all(tf.equal(places[:, None], places[None]), axis=-1)
    order = tf.range(tf.shape(places)[0])
    beaten = tf.reduce_any(tf.logical_and(same, order[None] > order[:, None]), axis=-1)
    sizes = [tf.cast(axis_size(x, axis), indices.dtype) for axis in range(x.shape.rank)]
    rest = [axis_size(x, axis) for axis in range(depth, x.shape.rank)]
    values = tf.reshape(updates, tf.stack([tf.shape(places)[0], *rest]))
    last = tf.reshape(beaten, [-1, *[1] * len(rest)])
    added = tf.scatter_nd(places, tf.where(last, tf.zeros([], x.dtype), values), tf.stack(sizes))
    there = tf.scatter_nd(places, tf.ones_like(order), tf.stack(sizes[:depth])) > 0
    return [tf.where(tf.reshape(there, tf.concat([tf.shape(there), tf.ones([len(rest)], tf.int32)], 0)), added, x)]
