"""Decompositions of convolutions and poolings that a target has in fewer forms."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from keras_nnx.export.lowering.graphs import axis_size
from keras_nnx.export.lowering.operators import register_decomposition


@register_decomposition("Conv3D", targets=("onnx", "tflite"))
def grouped_convolution(operation: tf.Operation, x: tf.Tensor, kernel: tf.Tensor) -> list[tf.Tensor]:
    """Convolve each group of channels by itself: converters look at the kernel's channels and see no groups."""
    channels, taken = x.shape[-1], kernel.shape[-2]
    if operation.get_attr("data_format") != b"NDHWC" or None in (channels, taken) or channels == taken:
        return NotImplemented
    groups = channels // taken
    parts = [
        tf.raw_ops.Conv3D(
            input=part,
            filter=weights,
            strides=operation.get_attr("strides"),
            padding=operation.get_attr("padding").decode(),
            dilations=operation.get_attr("dilations"),
        )
        for part, weights in zip(tf.split(x, groups, axis=-1), tf.split(kernel, groups, axis=-1), strict=True)
    ]
    return [tf.concat(parts, axis=-1)]


@register_decomposition("Squeeze", targets=("tflite",))
def squeeze_of_first_channels(operation: tf.Operation, x: tf.Tensor) -> list[tf.Tensor]:
    """Reshape: the converter brings the channels to the end, and then takes the axis that was counted before."""
    source = operation.inputs[0].op
    while source.type == "Identity":
        source = source.inputs[0].op
    names, axes = set(source.node_def.attr), operation.get_attr("squeeze_dims")
    if "data_format" not in names or source.get_attr("data_format") != b"NCHW" or not axes or x.shape.rank is None:
        return NotImplemented
    gone = {axis % x.shape.rank for axis in axes}
    sizes = [axis_size(x, axis) for axis in range(x.shape.rank) if axis not in gone]
    result = tf.reshape(x, tf.stack(sizes))
    result.set_shape(operation.outputs[0].shape)
    return [result]


@register_decomposition("BiasAdd", targets=("tflite",))
def bias_of_first_channels(operation: tf.Operation, x: tf.Tensor, bias: tf.Tensor) -> list[tf.Tensor]:
    """Add to the axis of the channels, where it is not the last."""
    if operation.get_attr("data_format") != b"NCHW" or x.shape.rank is None:
        return NotImplemented
    return [x + tf.reshape(bias, [-1, *[1] * (x.shape.rank - 2)])]


@register_decomposition("Conv2DBackpropInput", targets=("tflite",))
def dilated_transposed_convolution(
    operation: tf.Operation, size: tf.Tensor, kernel: tf.Tensor, x: tf.Tensor
) -> list[tf.Tensor]:
    """Put the zeros of the dilation into the kernel: TFLite transposes no dilated convolution."""
    _, down, across, _ = operation.get_attr("dilations")
    if (down, across) == (1, 1) or operation.get_attr("data_format") != b"NHWC":
        return NotImplemented
    height, width, outputs, inputs = kernel.shape.as_list()
    apart = tf.reshape(kernel, [height, 1, width, 1, outputs, inputs])
    apart = tf.pad(apart, [[0, 0], [0, down - 1], [0, 0], [0, across - 1], [0, 0], [0, 0]])
    wide = tf.reshape(apart, [height * down, width * across, outputs, inputs])
    wide = wide[: (height - 1) * down + 1, : (width - 1) * across + 1]
    return [
        tf.raw_ops.Conv2DBackpropInput(
            input_sizes=size,
            filter=wide,
            out_backprop=x,
            strides=operation.get_attr("strides"),
            padding=operation.get_attr("padding").decode(),
            explicit_paddings=operation.get_attr("explicit_paddings"),
        )
    ]


@register_decomposition("Conv2DBackpropInput", targets=("onnx",))
@register_decomposition("Conv3DBackpropInputV2", targets=("onnx",))
def transposed_convolution(
    operation: tf.Operation, size: tf.Tensor, kernel: tf.Tensor, x: tf.Tensor
) -> list[tf.Tensor]:
    """Cut the wanted size out of the whole answer, or fill it up with zeros, which tf2onnx does after the bias."""
    same = operation.get_attr("padding") == b"SAME"
    if operation.get_attr("data_format")[-1:] != b"C" or operation.get_attr("padding") not in (b"SAME", b"VALID"):
        return NotImplemented
    axes = range(1, x.shape.rank - 1)
    strides, dilations = operation.get_attr("strides"), operation.get_attr("dilations")
    widths = [(kernel.shape[axis - 1] - 1) * dilations[axis] + 1 for axis in axes]
    have = [
        ((x.shape[axis] or tf.shape(x)[axis]) - 1) * strides[axis] + width
        for axis, width in zip(axes, widths, strict=True)
    ]
    sizes = tf.get_static_value(size, partial=True)
    want = [size[axis] if sizes is None or sizes[axis] is None else int(sizes[axis]) for axis in axes]
    # Where the kernel is as wide as its steps, there is enough; without padding there is nothing too much.
    enough = same and all(width >= strides[axis] for axis, width in zip(axes, widths, strict=True))
    known = all(isinstance(value, int) for value in (*want, *have))
    if known and (enough or have == want):
        return NotImplemented
    whole = getattr(tf.raw_ops, operation.type)(
        input_sizes=tf.stack([size[0], *have, size[x.shape.rank - 1]]),
        filter=kernel,
        out_backprop=x,
        strides=strides,
        padding="VALID",
        dilations=dilations,
    )
    pairs = list(zip(have, want, strict=True))
    if same:
        starts = [(a - b if enough else tf.maximum(a - b, 0)) // 2 for a, b in pairs]
        taken = want if enough else [tf.minimum(a, b) for a, b in pairs]
        whole = tf.slice(whole, tf.stack([0, *starts, 0]), tf.stack([-1, *taken, -1]))
    if not enough:
        missing = [[0, tf.maximum(b - a, 0)] for a, b in pairs]
        whole = tf.pad(whole, tf.convert_to_tensor([[0, 0], *missing, [0, 0]]))
    return [whole]


@register_decomposition("MaxPool3D", targets=("tflite",))
def max_pool(operation: tf.Operation, x: tf.Tensor) -> list[tf.Tensor]:
    """Take the largest of each plane, then of the planes: TFLite pools in two dimensions."""
    return _pool(operation, x, tf.nn.max_pool2d)


@register_decomposition("AvgPool3D", targets=("tflite",))
def average_pool(operation: tf.Operation, x: tf.Tensor) -> list[tf.Tensor]:
    """Average each plane, then the planes: padding counts in neither, so that the shares are the same."""
    return _pool(operation, x, tf.nn.avg_pool2d)


def _pool(operation: tf.Operation, x: tf.Tensor, pool: Callable[..., tf.Tensor]) -> list[tf.Tensor]:
    if operation.get_attr("data_format") != b"NDHWC" or x.shape[-1] is None:
        return NotImplemented
    sizes, strides = operation.get_attr("ksize"), operation.get_attr("strides")
    padding, channels = operation.get_attr("padding").decode(), x.shape[-1]
    batch, depth, height, width = (axis_size(x, axis) for axis in range(4))
    planes = tf.reshape(x, tf.stack([batch * depth, height, width, tf.constant(channels)]))
    planes = pool(planes, sizes[2:4], strides[2:4], padding)
    height, width = axis_size(planes, 1), axis_size(planes, 2)
    rows = tf.reshape(planes, tf.stack([batch, depth, height * width, tf.constant(channels)]))
    rows = pool(rows, (sizes[1], 1), (strides[1], 1), padding)
    return [tf.reshape(rows, tf.stack([batch, axis_size(rows, 1), height, width, tf.constant(channels)]))]


@register_decomposition("MaxPool", targets=("onnx",))
@register_decomposition("AvgPool", targets=("onnx",))
@register_decomposition("MaxPool3D", targets=("onnx",))
@register_decomposition("AvgPool3D", targets=("onnx",))
def pool_with_gaps(operation: tf.Operation, x: tf.Tensor) -> list[tf.Tensor]:
    """Leave out what is behind the last window: ONNX Runtime pads windows with gaps by less than nothing."""
    windows, strides = operation.get_attr("ksize")[1:-1], operation.get_attr("strides")[1:-1]
    gaps = [
        axis
        for axis, (window, stride) in enumerate(zip(windows, strides, strict=True), start=1)
        if stride > window and x.shape[axis] is None
    ]
    if operation.get_attr("padding") != b"SAME" or operation.get_attr("data_format")[-1:] != b"C" or not gaps:
        return NotImplemented
    for axis in gaps:
        window, stride = windows[axis - 1], strides[axis - 1]
        reached = (axis_size(x, axis) + stride - 1) // stride * stride - stride + window
        x = x[(*[slice(None)] * axis, slice(None, reached))]
    attributes = {name: operation.get_attr(name) for name in ("ksize", "strides")}
    raw = getattr(tf.raw_ops, operation.type)
    return [raw(**{"value" if operation.type == "AvgPool" else "input": x}, padding="SAME", **attributes)]


@register_decomposition("SpaceToBatchND", targets=("tflite",))
def space_to_batch(operation: tf.Operation, x: tf.Tensor, blocks: tf.Tensor, paddings: tf.Tensor) -> list[tf.Tensor]:
    """Move one axis after the other: TFLite knows pictures only, and what a dilated convolution in 3-D is made of."""
    sizes = tf.get_static_value(blocks)
    rank = x.shape.rank
    if sizes is None or rank is None or len(sizes) <= 2:
        return NotImplemented
    edges = tf.zeros([rank - 1 - len(sizes), 2], paddings.dtype)
    x = tf.pad(x, tf.concat([tf.zeros([1, 2], paddings.dtype), paddings, edges], 0))
    for axis in range(len(sizes), 0, -1):
        x = _fold(x, axis, int(sizes[axis - 1]))
    return [x]


def _fold(x: tf.Tensor, axis: int, block: int) -> tf.Tensor:
    """Return (b .. n*k .. c) as (k*b .. n .. c)."""
    shape = [axis_size(x, place) for place in range(x.shape.rank)]
    before, after = _product(shape[1:axis]), _product(shape[axis + 1 :])
    count = shape[axis] // block
    x = tf.reshape(x, tf.stack([shape[0] * before, count, tf.constant(block), after]))
    x = tf.transpose(x, [2, 0, 1, 3])
    return tf.reshape(x, tf.stack([shape[0] * block, *shape[1:axis], count, *shape[axis + 1 :]]))


@register_decomposition("BatchToSpaceND", targets=("tflite",))
def batch_to_space(operation: tf.Operation, x: tf.Tensor, blocks: tf.Tensor, crops: tf.Tensor) -> list[tf.Tensor]:
    """Undo `space_to_batch`."""
    sizes = tf.get_static_value(blocks)
    rank = x.shape.rank
    if sizes is None or rank is None or len(sizes) <= 2:
        return NotImplemented
    for axis in range(1, len(sizes) + 1):
        x = _unfold(x, axis, int(sizes[axis - 1]))
    begin, end = ([crops[place, side] for place in range(len(sizes))] for side in (0, 1))
    places = tuple(
        slice(first, axis_size(x, 1 + place) - last) for place, (first, last) in enumerate(zip(begin, end, strict=True))
    )
    return [x[(slice(None), *places)]]


def _unfold(x: tf.Tensor, axis: int, block: int) -> tf.Tensor:
    """Return (k*b .. n .. c) as (b .. n*k .. c)."""
    shape = [axis_size(x, place) for place in range(x.shape.rank)]
    before, after = _product(shape[1:axis]), _product(shape[axis + 1 :])
    batch = shape[0] // block
    x = tf.reshape(x, tf.stack([tf.constant(block), batch * before, shape[axis], after]))
    x = tf.transpose(x, [1, 2, 0, 3])
    return tf.reshape(x, tf.stack([batch, *shape[1:axis], shape[axis] * block, *shape[axis + 1 :]]))


def _product(sizes: list[tf.Tensor]) -> tf.Tensor:
    result = tf.constant(1)
    for size in sizes:
        result = result * size
    return result
