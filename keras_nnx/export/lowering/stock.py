"""Lowerings of stock Keras layers."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from keras_nnx.export.lowering.layers import register_lowering


@register_lowering(keras.layers.Dense)
def dense(layer: keras.layers.Dense, inputs: Any, training: bool | None = None) -> Any:
    """Multiply a tensor of any rank by the kernel in one operator.

    Keras goes through `tensordot`, which leaves Shape, Gather and Concat nodes behind where a dimension is dynamic.
    """
    outputs = tf.linalg.matmul(inputs, tf.cast(layer.kernel, inputs.dtype))
    if layer.bias is not None:
        outputs = outputs + tf.cast(layer.bias, outputs.dtype)
    return outputs if layer.activation is None else layer.activation(outputs)


@register_lowering(keras.layers.TimeDistributed, targets=("saved_model", "onnx", "tflite"))
def time_distributed(
    layer: keras.layers.TimeDistributed, inputs: Any, training: bool | None = None, mask: Any = None
) -> Any:
    """Put the steps into the batch: Keras goes through as many as there are samples where it does not know them."""
    if not isinstance(inputs, tf.Tensor):
        return keras.layers.TimeDistributed.call(layer, inputs, training=training, mask=mask)
    options = {"training": training} if layer.layer._call_has_training_arg else {}
    if mask is not None and layer.layer._call_has_mask_arg:
        options["mask"] = _rows(mask)
    outputs = layer.layer(_rows(inputs), **options)
    result = tf.reshape(outputs, tf.concat([tf.shape(inputs)[:2], tf.shape(outputs)[1:]], 0))
    result.set_shape([*inputs.shape[:2], *outputs.shape[1:]])
    return result


def _rows(tensor: tf.Tensor) -> tf.Tensor:
    """Put the second axis into the first."""
    shape = tf.shape(tensor)
    result = tf.reshape(tensor, tf.concat([[shape[0] * shape[1]], shape[2:]], 0))
    result.set_shape([None, *tensor.shape[2:]])
    return result


@register_lowering(keras.layers.UpSampling2D, targets=("saved_model", "onnx", "tflite"))
def up_sampling(layer: keras.layers.UpSampling2D, inputs: Any) -> Any:
    """Resize to a size that may be unknown, which Keras compares with a number."""
    if layer.data_format != "channels_last" or None not in inputs.shape[1:3]:
        return keras.layers.UpSampling2D.call(layer, inputs)
    size = tf.shape(inputs)[1:3] * tf.constant(layer.size)
    outputs = tf.cast(tf.image.resize(inputs, size, method=layer.interpolation), inputs.dtype)
    sizes = [None if n is None else n * factor for n, factor in zip(inputs.shape[1:3], layer.size, strict=True)]
    outputs.set_shape([inputs.shape[0], *sizes, inputs.shape[3]])
    return outputs


@register_lowering(keras.layers.CenterCrop, targets=("saved_model", "onnx", "tflite"))
def center_crop(layer: keras.layers.CenterCrop, inputs: Any, **options: Any) -> Any:
    """Enlarge what is smaller than the crop also where the size is unknown, which Keras takes for large enough."""
    last = inputs.shape.rank if layer.data_format == "channels_first" else inputs.shape.rank - 1
    known = inputs.shape[last - 2 : last].as_list()
    wanted = [layer.height, layer.width]
    if None not in known or any(size is not None and size < least for size, least in zip(known, wanted, strict=True)):
        return keras.layers.CenterCrop.call(layer, inputs, **options)
    images = tf.cast(inputs, layer.compute_dtype)

    def enlarged() -> Any:
        return keras.preprocessing.image.smart_resize(images, wanted, data_format=layer.data_format)

    result = tf.cond(
        tf.reduce_all(tf.shape(inputs)[last - 2 : last] >= wanted),
        lambda: keras.layers.CenterCrop.call(layer, inputs, **options),
        enlarged,
    )
    shape = [*inputs.shape[: last - 2], *wanted, *inputs.shape[last:]]
    if shape.count(None) < 2:
        # The converter to TFLite forgets the shape of what was chosen; a reshape tells it.
        return tf.reshape(result, [-1 if size is None else size for size in shape])
    result.set_shape(shape)
    return result
