"""Operators on values that no probe has: large integers, infinity, what is not a number, and numbers next to zero."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_nnx as nnx
from keras_nnx.export import SignatureError, UnsupportedModelError
from keras_nnx.export.proof.runtimes import LiteRt, OnnxRuntime

ops = keras.ops
INFINITE, NONE = np.inf, np.nan


class Applied(keras.layers.Layer):
    def __init__(self, function):
        super().__init__(name="answer")
        self.function = function

    def call(self, *inputs):
        return self.function(*inputs)


def answers(target, function, values, tmp_path):
    """Return what the model and its file answer on `values`."""
    named = {f"in{place}": np.asarray(value)[None] for place, value in enumerate(values)}
    inputs = [keras.Input(value.shape[1:], dtype=value.dtype.name, name=name) for name, value in named.items()]
    model = keras.Model(inputs, Applied(function)(*inputs))
    report = nnx.export_model(model, tmp_path / "x", formats=(target,))
    runtime = {"onnx": OnnxRuntime, "tflite": LiteRt}[target](report.artifacts[target].path)
    return np.asarray(model([tf.constant(value) for value in named.values()])), runtime(named)["answer"]


def whole(*values, dtype="int32"):
    return np.array(values, dtype)


def real(*values):
    return np.array(values, "float32")


@pytest.mark.parametrize(
    ("function", "values"),
    [
        (lambda a, b: a > b, [whole(1700000001, 3), whole(1700000000, 3)]),
        (lambda a, b: a < b, [whole(1700000000), whole(1700000001)]),
        (lambda a, b: a < b, [whole(10**15, dtype="int64"), whole(10**15 + 1, dtype="int64")]),
        (lambda a, b: a > b, [whole(200, 3, dtype="uint8"), whole(17, 3, dtype="uint8")]),
        (lambda a: ops.top_k(a, 1)[0], [whole(16777217, 3)]),
        (lambda a: ops.top_k(a, 2)[1], [whole(16777216, 3, 16777217)]),
        (lambda a: ops.sort(a, -1), [whole(10**12 + 1, 3, dtype="int64")]),
        (lambda a: ops.sort(a, -1), [whole(-(2**31), 2**31 - 1)]),
        (lambda a: ops.top_k(a, 2)[0], [whole(3, -7, 100, dtype="int8")]),
        (lambda a: ops.cast(ops.cast(a, "float32"), "int32"), [whole(16777217, 3)]),
        (lambda a: ops.cast(ops.cast(a, "int8"), "float32"), [whole(300, -5)]),
        (lambda a: ops.sum(a, -1), [whole(10**18 + 1, 1, 5, dtype="int64")]),
        (lambda a: ops.sum(a, -1), [whole(2**31 - 1, 2**30, 7)]),
        (lambda a: ops.sum(a, (1, 3), keepdims=True), [whole(*range(2**31 - 25, 2**31 - 1)).reshape(2, 3, 4)]),
        (lambda a: ops.sum(a), [whole(2**31 - 1, 2**30, 7)]),
        (lambda a: ops.prod(a, -1), [whole(1001, 3003, 5001, 2001)]),
        (lambda a: ops.prod(ops.cast(a, "int32"), -1), [whole(255, 254, 253, 252, 251, dtype="uint8")]),
        (lambda a: ops.prod(a, (1, 2)), [whole(1001, 3003, 5001, 2001).reshape(2, 2)]),
        (lambda a: ops.cumprod(a, -1), [whole(10**6 + 1, 10**6 + 3, 10**6 + 5, dtype="int64")]),
        (lambda a: ops.scatter(ops.cast(a[0] * 4, "int32")[:, None] % 8, a[0], (8,)), [real(0.1, 0.2, 1.3, 0.15)]),
        (lambda a: ops.mod(a, 0.7), [real(1e8, 1e5 + 0.3, -3.0, 0.0)]),
        (lambda a: ops.digitize(a, np.array([0.0, 1.0, 2.0], "float32")), [real(NONE, 0.5, -1.0, 2.0)]),
    ],
)
def test_onnx_is_exact(function, values, tmp_path):
    expected, found = answers("onnx", function, values, tmp_path)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("function", "values"),
    [
        (ops.isinf, [real(1.0, INFINITE, -INFINITE, 3e38, 0.0)]),
        (lambda x: ops.where(ops.isinf(x), 0.0, x), [real(1.0, INFINITE, -INFINITE)]),
        (lambda x: ops.nan_to_num(1.0 / x), [real(1.0, 0.0, 2.0)]),
        (lambda x: ops.logical_not(x > 0), [real(1.0, 0.0, NONE, -1.0)]),
        (lambda x: ops.where(ops.logical_not(x <= 0.5), x, 0.0), [real(1.0, 0.0, NONE, -1.0)]),
    ],
)
def test_tflite_knows_infinity(function, values, tmp_path):
    expected, found = answers("tflite", function, values, tmp_path)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(("target", "tolerance"), [("onnx", 1e-6), ("tflite", 1e-4)])
@pytest.mark.parametrize(
    "function", [lambda x: ops.expm1(x) / x, lambda x: ops.log1p(x) / x, lambda x: ops.log(ops.softplus(-10 - 5 * x))]
)
def test_what_cancels_next_to_zero(function, target, tolerance, tmp_path):
    values = real(1e-8, 1e-6, -1e-3, 0.3, -0.3, 0.5, -0.5, 5.0, 80.0)
    expected, found = answers(target, function, [values], tmp_path)
    np.testing.assert_allclose(found, expected, rtol=tolerance)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: (
            (x - ops.mean(x, -1, keepdims=True))
            / ops.sqrt(ops.var(x, -1, keepdims=True) + 1e-3)
            * np.arange(8, dtype="f4")
        ),
        lambda x: ops.reshape(x, (-1, 5, 1, 1)) + np.arange(5, dtype="float32"),
        lambda x: x * np.full((7,), 0.5, "float32") * (1.0 + ops.erf(x * np.float32(0.5**0.5))),
    ],
)
def test_constants_that_widen_what_looks_like_one_operator(function, tmp_path):
    expected, found = answers("onnx", function, [np.linspace(-2, 2, 5, dtype="float32")[:, None]], tmp_path)
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("target", ["onnx", "tflite"])
def test_a_crop_enlarges_what_is_smaller_than_it(target, tmp_path):
    x = keras.Input((None, None, 3), name="x")
    model = keras.Model(x, keras.layers.CenterCrop(4, 5, name="crop")(x))
    report = nnx.export_model(model, tmp_path / "x", formats=(target,))
    runtime = {"onnx": OnnxRuntime, "tflite": LiteRt}[target](report.artifacts[target].path)
    for size in ((3, 3), (3, 9), (9, 2), (4, 5), (30, 31)):
        values = np.random.default_rng(1).random((2, *size, 3), "float32")
        (found,) = runtime({"x": values}).values()
        np.testing.assert_allclose(found, np.asarray(model(values)), atol=1e-6)


def test_a_recurrence_counts_in_onnx(tmp_path):
    """What is compared in a loop is its counter, which tf2onnx makes one of 64 bits."""
    x = keras.Input((None, 4), name="x")
    report = nnx.export_model(keras.Model(x, keras.layers.SimpleRNN(3)(x)), tmp_path / "x", formats=("onnx",))
    assert report.proven


def test_a_model_in_float64_stays_in_it(tmp_path):
    x = keras.Input((4,), dtype="float64", name="x")
    layers = [
        keras.layers.Dense(4, dtype="float64"),
        keras.layers.LayerNormalization(dtype="float64"),
        keras.layers.RMSNormalization(dtype="float64"),
    ]
    y = x
    for layer in layers:
        y = layer(y)
    report = nnx.export_model(keras.Model(x, y), tmp_path / "x", formats=("onnx",))
    assert report.signature.outputs[0].dtype == "float64"
    assert not any("float32" in note for note in report.notes)


def test_an_answer_as_long_as_its_values_say(tmp_path):
    x = keras.Input((8,), name="x")
    model = keras.Model(x, Applied(lambda x: tf.unique(tf.round(x[0]))[0])(x))
    assert nnx.export_model(model, tmp_path / "x", formats=("onnx",)).proven


class Silent(keras.Model):
    def call(self, x):
        return None


def test_a_model_that_returns_nothing(tmp_path):
    with pytest.raises(SignatureError, match="returns None"):
        nnx.export_model(Silent(), tmp_path / "x", input_signature=keras.Input((4,), name="x"))


@pytest.mark.parametrize("name", ["my image", "größe", "class"])
@pytest.mark.parametrize("target", ["saved_model", "tflite"])
def test_names_that_no_signature_of_tensorflow_takes(name, target, tmp_path):
    x = keras.Input((3,), name=name)
    with pytest.raises(UnsupportedModelError, match="give the inputs such names"):
        nnx.export_model(keras.Model(x, keras.layers.Dense(2)(x)), tmp_path / "x", formats=(target,))


def test_one_number_for_each_call(tmp_path):
    x = keras.Input(batch_shape=(), name="x")
    report = nnx.export_model(keras.Model(x, x * 2.0), tmp_path / "x", formats=("onnx",))
    assert report.proven


@pytest.mark.parametrize("operate", [keras.ops.floor_divide, keras.ops.mod], ids=["quotient", "remainder"])
def test_a_model_that_fails_on_zeros_is_asked_for_other_integers(operate, tmp_path):
    left, right = keras.Input((4,), dtype="int32", name="left"), keras.Input((4,), dtype="int32", name="right")
    report = nnx.export_model(keras.Model([left, right], operate(left, right)), tmp_path / "x")
    assert report.proven
