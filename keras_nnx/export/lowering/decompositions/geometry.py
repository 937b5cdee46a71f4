"""Decompositions of what is done with points, shapes and colours."""

from __future__ import annotations

import tensorflow as tf

from keras_nnx.export.lowering.operators import register_decomposition


@register_decomposition("Cross", targets=("onnx", "tflite"))
def cross(operation: tf.Operation, a: tf.Tensor, b: tf.Tensor) -> list[tf.Tensor]:
    """Return (a_y b_z - a_z b_y, a_z b_x - a_x b_z, a_x b_y - a_y b_x)."""
    (ax, ay, az), (bx, by, bz) = tf.unstack(a, 3, axis=-1), tf.unstack(b, 3, axis=-1)
    return [tf.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], axis=-1)]


@register_decomposition("BroadcastArgs", targets=("onnx", "tflite"))
def broadcast_shape(operation: tf.Operation, first: tf.Tensor, second: tf.Tensor) -> list[tf.Tensor]:
    """Take the other size where one is 1; the shorter shape has ones in front."""
    if None in (first.shape[0], second.shape[0]):
        return NotImplemented
    rank = max(first.shape[0], second.shape[0])
    first, second = (
        tf.concat([tf.ones([rank - shape.shape[0]], shape.dtype), shape], axis=0) for shape in (first, second)
    )
    return [tf.where(tf.equal(first, 1), second, first)]


@register_decomposition("RGBToHSV", targets=("onnx", "tflite"))
def rgb_to_hsv(operation: tf.Operation, images: tf.Tensor) -> list[tf.Tensor]:
    """Return where on the circle the largest channel lies between the others, how far apart they are, the largest."""
    red, green, blue = tf.unstack(images, 3, axis=-1)
    value = tf.maximum(tf.maximum(red, green), blue)
    extent = value - tf.minimum(tf.minimum(red, green), blue)
    zero, one = tf.zeros([], images.dtype), tf.ones([], images.dtype)
    grey = extent <= 0
    sixth = one / (6 * tf.where(grey, one, extent))
    hue = tf.where(
        tf.equal(red, value),
        sixth * (green - blue),
        tf.where(tf.equal(green, value), sixth * (blue - red) + 2 / 6, sixth * (red - green) + 4 / 6),
    )
    hue = tf.where(grey, zero, tf.where(hue < 0, hue + 1, hue))
    bright = value > 0
    saturation = tf.where(bright, extent / tf.where(bright, value, one), zero)
    return [tf.stack([hue, saturation, value], axis=-1)]


@register_decomposition("HSVToRGB", targets=("onnx", "tflite"))
def hsv_to_rgb(operation: tf.Operation, images: tf.Tensor) -> list[tf.Tensor]:
    """Return each channel as a trapezium over the circle of hues."""
    hue, saturation, value = tf.unstack(images, 3, axis=-1)
    turn = hue * 6
    zero, one = tf.zeros([], images.dtype), tf.ones([], images.dtype)

    def channel(shape: tf.Tensor) -> tf.Tensor:
        within = tf.where(shape < 0, zero, tf.where(shape > 1, one, shape))
        return ((1 - saturation) + saturation * within) * value

    red, green, blue = tf.abs(turn - 3) - 1, 2 - tf.abs(turn - 2), 2 - tf.abs(turn - 4)
    return [tf.stack([channel(red), channel(green), channel(blue)], axis=-1)]
