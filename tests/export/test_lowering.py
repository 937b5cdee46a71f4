import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_nnx as nnx
from keras_nnx.export import ExportError, ParityError
from keras_nnx.export.layer_paths import layer_path
from keras_nnx.export.lowering import layers as registry
from keras_nnx.export.lowering import operators
from keras_nnx.export.lowering.layers import float32_compute, lowered_layers


@keras.saving.register_keras_serializable(package="test_lowering")
class Triple(keras.layers.Layer):
    def call(self, inputs):
        return inputs * 3


@pytest.fixture
def triple_model():
    inputs = keras.Input((4,))
    return keras.Model(inputs, Triple(name="triple")(inputs))


@pytest.fixture(autouse=True)
def restored_registries(monkeypatch):
    monkeypatch.setattr(registry, "_REGISTRY", dict(registry._REGISTRY))
    monkeypatch.setattr(operators, "_REGISTRY", dict(operators._REGISTRY))


def test_a_users_lowering_is_used_for_its_target_only(triple_model, tmp_path):
    @nnx.export.register_lowering(Triple, targets=("onnx",))
    def by_sums(layer, inputs):
        return inputs + inputs + inputs

    report = nnx.export_model(triple_model, tmp_path / "x", formats=("onnx", "tflite"))
    assert report.artifacts["onnx"].operators == {"Add": 2}
    assert report.artifacts["tflite"].operators == {"MUL": 1}
    assert "call" not in vars(triple_model.get_layer("triple"))


def test_a_wrong_lowering_never_becomes_an_artifact(triple_model, tmp_path):
    @nnx.export.register_lowering(Triple)
    def doubles(layer, inputs):
        return inputs * 2

    for target in ("onnx", "tflite"):
        with pytest.raises(ParityError, match="differs from the model"):
            nnx.export_model(triple_model, tmp_path / "x", formats=(target,))
    assert not any(tmp_path.iterdir())


def test_layers_are_restored_whatever_happens(triple_model):
    @nnx.export.register_lowering(Triple)
    def fails(layer, inputs):
        raise RuntimeError("no")

    with pytest.raises(RuntimeError), lowered_layers(triple_model, "onnx"):
        triple_model(np.ones((1, 4), "float32"))
    np.testing.assert_array_equal(triple_model(np.ones((1, 4), "float32")), np.full((1, 4), 3))


@pytest.mark.parametrize("targets", [("coreml",), "onnx"])
def test_unknown_targets(targets):
    with pytest.raises(ValueError, match=f"{targets!r}".strip("()")):
        nnx.export.register_lowering(Triple, targets=targets)
    with pytest.raises(ValueError, match=f"{targets!r}".strip("()")):
        nnx.export.register_decomposition("Erfc", targets=targets)


def test_a_failing_lowering_is_named(triple_model, tmp_path):
    @nnx.export.register_lowering(Triple)
    def fails(layer, inputs):
        raise RuntimeError("no such thing")

    with pytest.raises(ExportError, match=r"tflite: the lowering of the layer '.*triple' failed: .*no such thing"):
        nnx.export_model(triple_model, tmp_path / "x", formats=("tflite",))


def test_a_decomposition_that_returns_no_list_is_named():
    @operators.register_decomposition("Erf", targets=("onnx",))
    def one(operation, x):
        return x

    graph = frozen(lambda x: tf.math.erf(x), tf.TensorSpec((None,), tf.float32))
    with pytest.raises(ExportError, match="decomposition of Erf has to return a list of 1"):
        operators.decompose(graph.as_graph_def(), "onnx")


def test_float32_compute_is_undone_after_an_error():
    layer = keras.layers.Dense(2, dtype="mixed_float16")
    inputs = keras.Input((3,))
    model = keras.Model(inputs, layer(inputs))
    with pytest.raises(KeyError), float32_compute(model):  # noqa: PT012
        assert layer.compute_dtype == "float32"
        raise KeyError
    assert layer.dtype_policy.name == "mixed_float16"


def frozen(function, *specifications):
    return tf.function(function).get_concrete_function(*specifications).graph


def run(graph_def, feeds, fetch):
    with tf.Graph().as_default() as graph:
        tf.graph_util.import_graph_def(graph_def, name="")
        with tf.compat.v1.Session(graph=graph) as session:
            return session.run(fetch, feeds)


def test_decomposition_equals_the_operator():
    x = tf.TensorSpec((None, 5), tf.float32, name="x")
    graph = frozen(lambda x: tf.identity(tf.math.erfc(tf.math.erfc(x) + 1.0), name="y"), x)
    lowered = operators.decompose(graph.as_graph_def(), "onnx")
    assert not [node for node in lowered.node if node.op == "Erfc"]
    assert sum(node.op == "Erf" for node in lowered.node) == 2
    values = np.random.default_rng(0).normal(size=(3, 5)).astype("float32")
    expected = run(graph.as_graph_def(), {"x:0": values}, "y:0")
    np.testing.assert_allclose(run(lowered, {"x:0": values}, "y:0"), expected, atol=1e-6)


def test_decomposition_keeps_other_graphs_untouched():
    graph_def = frozen(lambda x: tf.math.erf(x), tf.TensorSpec((2,), tf.float32)).as_graph_def()
    assert operators.decompose(graph_def, "onnx") is graph_def
    erfc = frozen(lambda x: tf.math.erfc(x), tf.TensorSpec((2,), tf.float32)).as_graph_def()
    assert operators.decompose(erfc, "tflite") is erfc


def test_decomposition_with_several_outputs_and_a_passed_through_input():
    @operators.register_decomposition("Split", targets=("onnx",))
    def split(operation, axis, value):
        count = operation.get_attr("num_split")
        size = value.shape[1] // count
        return [value[:, index * size : (index + 1) * size] for index in range(count)]

    @operators.register_decomposition("Neg", targets=("onnx",))
    def forward(operation, x):
        return [x]

    def function(x):
        left, right = tf.split(x, 2, axis=1)
        return tf.identity(right - left + tf.negative(x)[:, :2], name="y")

    graph = frozen(function, tf.TensorSpec((3, 4), tf.float32, name="x"))
    lowered = operators.decompose(graph.as_graph_def(), "onnx")
    assert not {"Split", "Neg"} & {node.op for node in lowered.node}
    values = np.arange(12, dtype="float32").reshape(3, 4)
    expected = values[:, 2:] - values[:, :2] + values[:, :2]
    np.testing.assert_array_equal(run(lowered, {"x:0": values}, "y:0"), expected)


def test_layer_paths_follow_nested_names():
    inner = keras.Sequential([keras.layers.Dense(2, name="dense")], name="inner")
    inputs = keras.Input((3,))
    model = keras.Model(inputs, inner(inputs), name="outer")
    assert layer_path(model, "outer_1/inner_1/dense_1/MatMul:0") == "outer/inner/dense"
    assert layer_path(model, "StatefulPartitionedCall/outer/inner/dense/Relu") == "outer/inner/dense"
    assert layer_path(model, "elsewhere/Add") == ""
