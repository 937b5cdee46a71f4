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
from tests.export.graphs import lower, operators_of, run


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

    with lowered_layers(triple_model, "onnx"):
        np.testing.assert_array_equal(triple_model(np.ones((1, 4), "float32")), np.full((1, 4), 3))
        with pytest.raises(RuntimeError):
            tf.function(triple_model).get_concrete_function(tf.TensorSpec((1, 4)))
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

    with pytest.raises(ExportError, match="decomposition of Erf has to return a list of 1"):
        lower(tf.math.erf, MATRIX)


def test_float32_compute_is_undone_after_an_error():
    layer = keras.layers.Dense(2, dtype="mixed_float16")
    inputs = keras.Input((3,))
    model = keras.Model(inputs, layer(inputs))
    with pytest.raises(KeyError), float32_compute(model):  # noqa: PT012
        assert layer.compute_dtype == "float32"
        raise KeyError
    assert layer.dtype_policy.name == "mixed_float16"


MATRIX = tf.TensorSpec((None, 5), tf.float32)


@pytest.fixture
def matrix():
    return np.random.default_rng(0).normal(size=(3, 5)).astype("float32")


def test_decomposition_equals_the_operator(matrix):
    def function(x):
        return tf.math.erfc(tf.math.erfc(x) + 1.0)

    lowered = lower(function, MATRIX)
    assert "Erf" in operators_of(lowered)
    assert "Erfc" not in operators_of(lowered)
    np.testing.assert_allclose(run(lowered, matrix)[0], function(tf.constant(matrix)), atol=1e-6)
    assert "Erfc" in operators_of(lower(function, MATRIX, target="coreml"))


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
        return right - left + tf.negative(x)[:, :2]

    lowered = lower(function, tf.TensorSpec((3, 4), tf.float32))
    assert not {"Split", "Neg"} & operators_of(lowered)
    values = np.arange(12, dtype="float32").reshape(3, 4)
    np.testing.assert_array_equal(run(lowered, values)[0], values[:, 2:] - values[:, :2] + values[:, :2])


def test_a_decomposition_may_decline(matrix):
    @operators.register_decomposition("Erf", targets=("onnx",))
    def declines(operation, x):
        return NotImplemented

    assert "Erf" in operators_of(lower(tf.math.erf, MATRIX))


def test_bodies_of_loops_branches_and_compiled_functions_are_rewritten(matrix):
    compiled = tf.function(tf.math.erfc, jit_compile=True)

    def function(x):
        def step(index, value):
            return index + 1, tf.cond(tf.reduce_sum(value) > 0, lambda: compiled(value), lambda: tf.math.erfc(-value))

        case = tf.switch_case(tf.shape(x)[0] % 3, [lambda: x, lambda: tf.math.erfc(x)])
        return tf.while_loop(lambda index, value: index < 3, step, (0, x))[1] + case

    lowered = lower(function, MATRIX)
    assert {"StatelessWhile", "StatelessIf", "Erf"} <= operators_of(lowered)
    assert not {"Erfc", "StatelessCase", "PartitionedCall", "StatefulPartitionedCall"} & operators_of(lowered)
    for values in (matrix, -matrix, matrix[:1], matrix[:2]):
        np.testing.assert_allclose(run(lowered, values)[0], function(tf.constant(values)), atol=1e-6)


@pytest.mark.parametrize("condition", [True, False])
def test_a_known_condition_is_decided(condition, matrix):
    def function(x):
        known = tf.constant(condition)
        number = tf.constant(7 if condition else 1)
        branch = tf.raw_ops.If(
            cond=known,
            input=[x],
            Tout=[tf.float32],
            then_branch=tf.function(tf.math.erfc).get_concrete_function(MATRIX),
            else_branch=tf.function(tf.math.negative).get_concrete_function(MATRIX),
        )[0]
        return branch + tf.switch_case(tf.identity(number), [lambda: x, lambda: x * 2, lambda: x * 3])

    lowered = lower(function, MATRIX)
    assert not {name for name in operators_of(lowered) if name.endswith(("If", "Case"))}
    expected = tf.math.erfc(matrix) + 3 * matrix if condition else matrix
    np.testing.assert_allclose(run(lowered, matrix)[0], expected, atol=1e-6)


def test_what_no_output_needs_is_left_out(matrix):
    def function(x):
        tf.debugging.assert_less(x, 100.0)
        tf.print(x)
        with tf.control_dependencies([tf.random.uniform(tf.shape(x))]):
            return tf.identity(x) + 1.0

    lowered = lower(function, MATRIX)
    assert not {"Assert", "PrintV2", "RandomUniform", "NoOp"} & operators_of(lowered)
    np.testing.assert_array_equal(run(lowered, matrix)[0], matrix + 1)


def test_one_result_under_two_names_and_an_input_that_is_passed_through(matrix):
    lowered = lower(lambda x: (x, x * 2, x), MATRIX)
    assert len(set(lowered.outputs.values())) == 3
    np.testing.assert_array_equal(run(lowered, matrix)[2], matrix)


def test_layer_paths_follow_nested_names():
    inner = keras.Sequential([keras.layers.Dense(2, name="dense")], name="inner")
    inputs = keras.Input((3,))
    model = keras.Model(inputs, inner(inputs), name="outer")
    assert layer_path(model, "outer_1/inner_1/dense_1/MatMul:0") == "outer/inner/dense"
    assert layer_path(model, "StatefulPartitionedCall/outer/inner/dense/Relu") == "outer/inner/dense"
    assert layer_path(model, "elsewhere/Add") == ""


def test_a_number_in_a_name_is_the_layers_own_or_tensorflows():
    tensor = inputs = keras.Input((4,))
    for _ in range(3):
        tensor = keras.layers.Dense(4)(tensor)
    model = keras.Model(inputs, tensor, name="net")
    names = [layer.name for layer in model.layers[1:]]
    for name in names:
        assert layer_path(model, f"net/{name}/MatMul") == f"net/{name}"
        assert layer_path(model, f"net_1/{name}_1/MatMul") == f"net/{name}"
