"""Resizes as two matrix products, one along the height and one along the width.

ONNX and TFLite have resizes of their own, whose rounding and whose cubic kernel are not TensorFlow's, and no Lanczos
resize. A matrix of weights is exact, whatever the kernel. It is computed in the graph, from the sizes, so that they may
be unknown; where they are known, it is folded into a constant.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from keras_nnx.export.lowering.graphs import axis_size
from keras_nnx.export.lowering.operators import register_decomposition

Kernel = Callable[[tf.Tensor], tf.Tensor]


@register_decomposition("ResizeNearestNeighbor", targets=("onnx", "tflite"))
def resize_nearest(operation: tf.Operation, images: tf.Tensor, size: tf.Tensor) -> list[tf.Tensor]:
    """Look the nearest row up, then the nearest column; whole multiples are left to the target."""
    known = tf.get_static_value(size)
    if known is not None and all(n is not None and m % n == 0 for n, m in zip(images.shape[1:3], known, strict=True)):
        return NotImplemented
    for axis in (1, 2):
        old, new = axis_size(images, axis), size[axis - 1]
        position = _positions(operation, old, new)
        if operation.get_attr("half_pixel_centers") and not operation.get_attr("align_corners"):
            position = position + 0.5
        rounded = tf.round(position) if operation.get_attr("align_corners") else tf.floor(position)
        images = tf.gather(images, tf.clip_by_value(tf.cast(rounded, tf.int32), 0, old - 1), axis=axis)
    return [images]


@register_decomposition("ResizeBilinear", targets=("onnx", "tflite"))
def resize_bilinear(operation: tf.Operation, images: tf.Tensor, size: tf.Tensor) -> list[tf.Tensor]:
    """Weigh the two nearest pixels; beyond the border, the pixel at the border."""

    def weights(old: tf.Tensor, new: tf.Tensor) -> tf.Tensor:
        last = tf.cast(old - 1, tf.float32)
        position = tf.clip_by_value(_positions(operation, old, new), 0.0, last)
        return tf.nn.relu(1.0 - tf.abs(position[:, None] - _range(old)[None, :]))

    return [_resize(images, size, weights)]


@register_decomposition("ResizeBicubic", targets=("onnx", "tflite"))
def resize_bicubic(operation: tf.Operation, images: tf.Tensor, size: tf.Tensor) -> list[tf.Tensor]:
    """Weigh four pixels by a cubic kernel, of Keys with half-pixel centres, else the one that TensorFlow had first."""
    if not operation.get_attr("half_pixel_centers"):
        return NotImplemented

    def weights(old: tf.Tensor, new: tf.Tensor) -> tf.Tensor:
        # TensorFlow looks its weights up in a table of 1024 steps between two pixels.
        position = tf.round((_positions(operation, old, new) + 4.0) * 1024.0) / 1024.0 - 4.0
        return _normalized(_keys(position[:, None] - _range(old)[None, :]))

    return [_resize(images, size, weights)]


@register_decomposition("ResizeArea", targets=("onnx", "tflite"))
def resize_area(operation: tf.Operation, images: tf.Tensor, size: tf.Tensor) -> list[tf.Tensor]:
    """Weigh each pixel by how much of it a new one covers."""
    if operation.get_attr("align_corners"):
        return NotImplemented

    def weights(old: tf.Tensor, new: tf.Tensor) -> tf.Tensor:
        width = _ratio(old, new)
        start, end = ((_range(new) + shift)[:, None] * width for shift in (0.0, 1.0))
        left = _range(old)[None, :]
        inside = tf.logical_and(start > left, end < left + 1.0)
        common = tf.nn.relu(tf.minimum(end, left + 1.0) - tf.maximum(start, left))
        return tf.where(inside, width, common) / width

    return [_resize(images, size, weights)]


@register_decomposition("ScaleAndTranslate", targets=("onnx", "tflite"))
def scale_and_translate(
    operation: tf.Operation, images: tf.Tensor, size: tf.Tensor, scale: tf.Tensor, translation: tf.Tensor
) -> list[tf.Tensor]:
    """Weigh by the kernel that is named, widened where it shrinks and is to be smooth."""
    kernel, radius = _KERNELS.get(operation.get_attr("kernel_type").decode(), (None, 0.0))
    if kernel is None:
        return NotImplemented
    antialias = operation.get_attr("antialias")

    def weights_of(axis: int) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
        def weights(old: tf.Tensor, new: tf.Tensor) -> tf.Tensor:
            inverse = 1.0 / scale[axis]
            width = tf.maximum(inverse, 1.0) if antialias else tf.constant(1.0)
            position = (_range(new) + 0.5 - translation[axis]) * inverse
            distance = (_range(old)[None, :] + 0.5 - position[:, None]) / width
            inside = tf.logical_and(position >= 0.0, position <= tf.cast(old, tf.float32))
            near = tf.cast(tf.abs(distance) <= radius, tf.float32)
            return tf.where(inside[:, None], _normalized(kernel(distance) * near), 0.0)

        return weights

    result = _along(tf.cast(images, tf.float32), 1, size[0], weights_of(0))
    return [_along(result, 2, size[1], weights_of(1))]


def _resize(images: tf.Tensor, size: tf.Tensor, weights: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]) -> tf.Tensor:
    images = tf.cast(images, tf.float32)
    return _along(_along(images, 1, size[0], weights), 2, size[1], weights)


def _along(
    images: tf.Tensor, axis: int, new: tf.Tensor, weights: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
) -> tf.Tensor:
    """Return `images` (b h w c) with the matrix of weights applied along `axis`."""
    known = images.shape[axis]
    static = tf.get_static_value(new)
    if static is not None and static == known:
        return images
    old = tf.constant(known) if known is not None else tf.shape(images)[axis]
    matrix = weights(old, new)  # new old
    if axis == 1:  # b h (w c)
        batch, width, channels = axis_size(images, 0), axis_size(images, 2), axis_size(images, 3)
        rows = tf.reshape(images, tf.stack([batch, axis_size(images, 1), width * channels]))
        return tf.reshape(tf.linalg.matmul(matrix, rows), tf.stack([batch, new, width, channels]))
    return tf.linalg.matmul(matrix, images)  # b h (w) c


def _range(size: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.range(size), tf.float32)


def _positions(operation: tf.Operation, old: tf.Tensor, new: tf.Tensor) -> tf.Tensor:
    """Return where each new pixel lies among the old ones."""
    if operation.get_attr("align_corners"):
        inner = _ratio(old - 1, tf.maximum(new - 1, 1))
        return _range(new) * tf.where(new > 1, inner, _ratio(old, new))
    if operation.get_attr("half_pixel_centers"):
        return (_range(new) + 0.5) * _ratio(old, new) - 0.5
    return _range(new) * _ratio(old, new)


def _ratio(old: tf.Tensor, new: tf.Tensor) -> tf.Tensor:
    """Return how many old pixels a new one is wide."""
    # TensorFlow's graph optimizer makes a division by a constant into a product, which rounds otherwise. This is none.
    one = tf.cast(old > -1, tf.float32)
    return tf.cast(old, tf.float32) / (tf.cast(new, tf.float32) * one)


def _normalized(weights: tf.Tensor) -> tf.Tensor:
    total = tf.reduce_sum(weights, axis=1, keepdims=True)
    return tf.where(tf.abs(total) > 1000 * np.finfo("float32").tiny, weights / total, 0.0)


def _triangle(x: tf.Tensor) -> tf.Tensor:
    return tf.nn.relu(1.0 - tf.abs(x))


def _keys(x: tf.Tensor) -> tf.Tensor:
    """Keys's cubic kernel with a = -1/2."""
    x = tf.abs(x)
    near = ((1.5 * x - 2.5) * x) * x + 1.0
    far = ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    return tf.where(x < 1.0, near, tf.where(x < 2.0, far, 0.0))


def _lanczos(radius: float) -> Kernel:
    def kernel(x: tf.Tensor) -> tf.Tensor:
        x = tf.abs(x)
        angle = math.pi * tf.maximum(x, 1e-3)
        value = radius * tf.sin(angle) * tf.sin(angle / radius) / (angle * angle)
        return tf.where(x > radius, 0.0, tf.where(x <= 1e-3, 1.0, value))

    return kernel


_KERNELS: dict[str, tuple[Kernel, float]] = {
    "triangle": (_triangle, 1.0),
    "keyscubic": (_keys, 2.0),
    "lanczos3": (_lanczos(3.0), 3.0),
    "lanczos5": (_lanczos(5.0), 5.0),
}
