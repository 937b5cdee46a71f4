"""Models whose sizes a converter gets wrong by itself."""

import keras
import pytest
import tensorflow as tf

import keras_nnx as nnx
from keras_nnx.export.conversion.onnx_passes import _broadcast

layers = keras.layers


def functional(inputs, *applied):
    x = inputs
    for layer in applied:
        x = layer(x)
    return keras.Model(inputs, x)


CASES = {
    "transposed, with a bias behind the gap": (
        ("onnx",),
        (None, None, 4),
        [layers.Conv2DTranspose(4, 1, strides=2, bias_initializer="ones"), layers.DepthwiseConv2D(3, padding="same")],
    ),
    "transposed, of a known size": (
        ("onnx",),
        (6, 7, 4),
        [
            layers.Conv2DTranspose(4, 2, strides=2, output_padding=1, bias_initializer="ones"),
            layers.Conv2DTranspose(3, 1, strides=3, padding="same"),
        ],
    ),
    "transposed as a whole, with a bias": (
        ("onnx",),
        (6, 7, 4),
        [layers.Conv2DTranspose(4, 2, strides=2, bias_initializer="ones"), layers.Conv2DTranspose(3, 3)],
    ),
    "transposed, in three dimensions": (
        ("onnx",),
        (None, None, None, 2),
        [layers.Conv3DTranspose(4, 2, strides=3, padding="same", bias_initializer="ones")],
    ),
    "a pool down to one pixel, normalised": (
        ("onnx",),
        (3, 3, 4),
        [layers.AveragePooling2D(1, 4), layers.LayerNormalization()],
    ),
    "windows with gaps": (("onnx",), (None, None, 4), [layers.AveragePooling2D(2, 3, "same")]),
    "a parametric ReLU of five axes": (("tflite",), (None, None, None, 4), [layers.PReLU(shared_axes=[1, 2, 3])]),
    "an average over many numbers": (
        ("onnx", "tflite"),
        (96, 96, 2),
        [layers.Conv2D(4, 1, bias_initializer=keras.initializers.RandomUniform(1, 2)), layers.GlobalAveragePooling2D()],
    ),
    "a size that a branch decides": (
        ("tflite",),
        (None, None, 4),
        [layers.CenterCrop(6, 8), layers.SeparableConv2D(3, 3, dilation_rate=2)],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_model(name, tmp_path):
    formats, shape, applied = CASES[name]
    assert nnx.export_model(functional(keras.Input(shape), *applied), tmp_path / "x", formats=formats).proven


def test_unknown_sizes_stay_unknown_unless_another_one_decides():
    assert _broadcast([[-1, 4, 1, 1], [4, 1, 1], [1, 1]]) == [-1, 4, 1, 1]
    assert _broadcast([[-1, 1], [1, 5]]) == [-1, 5]
    assert _broadcast([[-1], [7]]) == [7]


def test_a_size_may_be_an_output(tmp_path):
    class Length(layers.Layer):
        def call(self, inputs):
            return keras.ops.shape(inputs)[1]

        def compute_output_spec(self, inputs):
            return keras.KerasTensor((), "int32")

    inputs = keras.Input((None, 4))
    model = keras.Model(inputs, [layers.Dense(2)(inputs), Length(name="length")(inputs)])
    assert nnx.export_model(model, tmp_path / "x").proven


@pytest.mark.parametrize("factor", [3, 5, 7, 12, 14])
def test_sizes_that_have_to_be_multiples_are_found(factor, tmp_path):
    class Blocks(layers.Layer):
        def call(self, inputs):
            return keras.ops.mean(keras.ops.reshape(inputs, (keras.ops.shape(inputs)[0], -1, factor, 2)), 2)

        def compute_output_spec(self, inputs):
            return keras.KerasTensor((None, None, 2), "float32")

    model = functional(keras.Input((None, 2)), Blocks())
    assert nnx.export_model(model, tmp_path / "x", formats=("saved_model",)).signature.dynamic_dimensions


def twice(x):
    repeated = tf.repeat(x, 2, axis=1)
    sizes = tf.shape(repeated)
    return tf.reshape(repeated, [sizes[0], sizes[1], sizes[2], 4])


WORKED_OUT = {
    "repeated": lambda x: keras.ops.repeat(keras.ops.repeat(x, 2, axis=1), 3, axis=2),
    "repeated, then reshaped by its own sizes": twice,
    "padded by its size": lambda x: tf.pad(x, tf.stack([[0, 0], [tf.shape(x)[1] // 2, 1], [1, 1], [0, 0]])),
    "padded with ones by its size": lambda x: tf.pad(
        x, tf.stack([[0, 0], [1, tf.shape(x)[1]], [0, 0], [0, 0]]), constant_values=1
    ),
    "reflected by its size": lambda x: tf.pad(
        x, tf.stack([[0, 0], [0, tf.shape(x)[1] // 2], [0, 0], [0, 0]]), mode="REFLECT"
    ),
    "all that is left": lambda x: tf.slice(x, [0, tf.shape(x)[1] // 2, 0, 0], [-1, -1, -1, 4]),
}


@pytest.mark.parametrize("name", WORKED_OUT)
def test_a_convolution_knows_its_channels_where_other_sizes_are_worked_out(name, tmp_path):
    class WorkedOut(layers.Layer):
        def call(self, inputs):
            return WORKED_OUT[name](inputs)

        def compute_output_shape(self, shape):
            return (shape[0], None, None, 4)

    model = functional(keras.Input((None, None, 4)), WorkedOut(), layers.Conv2D(3, 3, padding="same"))
    assert nnx.export_model(model, tmp_path / "x", formats=("onnx", "tflite")).proven
