"""Operators that take sizes worked out at run time, of which converters see less than TensorFlow knows."""

from __future__ import annotations

import tensorflow as tf

from keras_nnx.export.lowering.operators import register_decomposition


@register_decomposition("Reshape", targets=("tflite",))
def reshape(operation: tf.Operation, x: tf.Tensor, shape: tf.Tensor) -> list[tf.Tensor]:
    """State the sizes that are known: the converter drops them where the shape is put together in another way."""
    known = operation.outputs[0].shape
    if known.rank is None or 0 in known.as_list() or not _hides(shape, known.as_list()):
        return NotImplemented
    return [tf.reshape(x, _stated(known.as_list(), shape))]


@register_decomposition("Pad", targets=("tflite",))
@register_decomposition("PadV2", targets=("tflite",))
@register_decomposition("MirrorPad", targets=("tflite",))
def pad(operation: tf.Operation, x: tf.Tensor, paddings: tf.Tensor, *value: tf.Tensor) -> list[tf.Tensor]:
    """State the sizes that are known, where one is padded by an amount that is not: the converter drops them all."""
    known = operation.outputs[0].shape
    if (
        tf.get_static_value(paddings) is not None
        or known.rank is None
        or 0 in known.as_list()
        or not any(known.as_list())
    ):
        return NotImplemented
    if operation.type == "MirrorPad":
        padded = tf.raw_ops.MirrorPad(input=x, paddings=paddings, mode=operation.get_attr("mode"))
    else:
        padded = tf.raw_ops.PadV2(
            input=x, paddings=paddings, constant_values=value[0] if value else tf.zeros((), x.dtype)
        )
    return [tf.reshape(padded, _stated(known.as_list(), tf.shape(padded)))]


@register_decomposition("Slice", targets=("onnx",))
def cut(operation: tf.Operation, x: tf.Tensor, begin: tf.Tensor, size: tf.Tensor) -> list[tf.Tensor]:
    """Work out the sizes that are given as -1, for all that is left, where tf2onnx does not know the beginning."""
    if tf.get_static_value(begin) is not None:
        return NotImplemented
    asked = tf.get_static_value(size)
    if asked is not None and (asked >= 0).all():
        return NotImplemented
    left = tf.shape(x, out_type=size.dtype) - tf.cast(begin, size.dtype)
    return [tf.slice(x, begin, tf.where(size < 0, left, size))]


def _hides(shape: tf.Tensor, known: list[int | None]) -> bool:
    """Whether one of the known sizes is not a constant in the operator that gives the shape."""
    if tf.get_static_value(shape) is not None:
        return False
    entries = list(shape.op.inputs) if shape.op.type == "Pack" else [None] * len(known)
    return any(
        size is not None and (entry is None or tf.get_static_value(entry) is None)
        for size, entry in zip(known, entries, strict=True)
    )


def _stated(known: list[int | None], shape: tf.Tensor) -> tf.Tensor | list[int]:
    """Return the sizes `known`, with the others out of `shape`; one alone is left to the reshape."""
    if known.count(None) < 2:
        return [-1 if size is None else size for size in known]
    return tf.stack(
        [shape[axis] if size is None else tf.constant(size, shape.dtype) for axis, size in enumerate(known)]
    )
