"""Models whose Python asks tensors for their values."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_nnx as nnx
from keras_nnx.export import UnsupportedOperatorError
from keras_nnx.export.proof.runtimes import LiteRt, OnnxRuntime
from tests.export.graphs import lower


class Branching(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(3)

    def call(self, inputs):
        if keras.ops.sum(inputs) > 0:
            return self.dense(inputs)
        return -inputs


class Looping(keras.layers.Layer):
    def compute_output_shape(self, input_shape):
        return input_shape

    def call(self, inputs):
        value = inputs
        while keras.ops.max(keras.ops.abs(value)) > 1.0:
            value = value / 2.0
        for _ in range(2):
            value = value + 0.25
        return value


def branching():
    model = Branching()
    return model, keras.Input((3,), name="x")


def looping():
    inputs = keras.Input((3,), name="x")
    return keras.Model(inputs, Looping()(inputs)), None


@pytest.mark.parametrize("build", [branching, looping])
def test_control_flow_becomes_operators(build, tmp_path):
    model, signature = build()
    report = nnx.export_model(model, tmp_path / "x", input_signature=signature)
    assert report.proven
    assert "call" not in vars(model)
    output = report.signature.outputs[0].name
    for target, runtime in (("onnx", OnnxRuntime), ("tflite", LiteRt)):
        loaded = runtime(report.artifacts[target].path)
        for value in ([[1.0, 2.0, 30.0]], [[-1.0, -2.0, 0.5]], [[0.1, 0.2, 0.3], [-8.0, 0.0, 0.0]]):
            value = np.array(value, "float32")
            np.testing.assert_allclose(loaded({"x": value})[output], np.asarray(model(value)), atol=1e-5)


@pytest.mark.parametrize("target", ["onnx", "tflite"])
def test_loops_that_no_while_loop_made(target, tmp_path):
    """A converter that takes the first two of what is carried for counters would compute something else."""

    @keras.saving.register_keras_serializable(package="test_control_flow")
    class Raw(keras.layers.Layer):
        def compute_output_shape(self, input_shape):
            return input_shape

        def call(self, inputs):
            kind = [tf.TensorSpec((None, 3), tf.float32)] * 2
            less = tf.function(lambda x, y: tf.reduce_sum(x) < 100.0).get_concrete_function(*kind)
            more = tf.function(lambda x, y: (x * 2.0 + y, y)).get_concrete_function(*kind)
            shapes = [inputs.shape, inputs.shape]
            return tf.raw_ops.While(input=[inputs, tf.ones_like(inputs)], cond=less, body=more, output_shapes=shapes)[0]

    inputs = keras.Input((3,), name="x")
    model = keras.Model(inputs, Raw()(inputs))
    assert nnx.export_model(model, tmp_path / "x", formats=(target,)).proven


@pytest.mark.parametrize("target", ["onnx", "tflite"])
def test_kernels_inside_loops_and_branches(target, tmp_path):
    class Steps(keras.Model):
        def __init__(self):
            super().__init__()
            self.convolution = keras.layers.Conv2D(2, 3, padding="same")

        def call(self, inputs):
            while keras.ops.mean(inputs) < 4.0:
                inputs = inputs + keras.ops.abs(self.convolution(inputs)) + 1.0
            if keras.ops.max(inputs) > 100.0:
                return self.convolution(inputs)
            return inputs

    report = nnx.export_model(Steps(), tmp_path / "x", input_signature=keras.Input((6, 6, 2)), formats=(target,))
    assert report.proven


@pytest.mark.parametrize("target", ["onnx", "tflite"])
def test_a_table_inside_a_branch(target, tmp_path):
    class Looking(keras.Model):
        def __init__(self):
            super().__init__()
            self.lookup = keras.layers.IntegerLookup(vocabulary=[4, 9])

        def call(self, inputs):
            if keras.ops.sum(inputs) > 3:
                return self.lookup(inputs)
            return inputs

    signature = keras.Input((3,), dtype="int64")
    assert nnx.export_model(Looking(), tmp_path / "x", input_signature=signature, formats=(target,)).proven


def test_complex_numbers_in_a_loop_are_refused():
    def function(x):
        start = tf.complex(x, x)
        return tf.math.real(tf.while_loop(lambda z: tf.abs(z[0, 0]) < 9.0, lambda z: [z + z], [start])[0])

    with pytest.raises(UnsupportedOperatorError, match="complex numbers"):
        lower(function, tf.TensorSpec((None, 4), tf.float32))
