"""What the engine refuses, and how it says so."""

import keras
import numpy as np
import onnx
import pytest
import tensorflow as tf

import keras_nnx as nnx
from keras_nnx.export import (
    CalibrationError,
    ConverterCrashError,
    ExportError,
    InvalidArtifactError,
    OutputDirectoryError,
    ParityError,
    RuntimeFailureError,
    SignatureError,
    UnsupportedModelError,
    UnsupportedOperatorError,
    inspection,
    workers,
)
from keras_nnx.export.conversion import onnx_passes
from keras_nnx.export.lowering import operators


def functional(inputs, *layers):
    x = inputs
    for layer in layers:
        x = layer(x)
    return keras.Model(inputs, x)


def test_stateful_layer_is_refused_by_name(tmp_path):
    model = functional(keras.Input(batch_shape=(1, 5, 4)), keras.layers.LSTM(3, stateful=True, name="memory"))
    with pytest.raises(UnsupportedModelError, match=r"memory.*stateful=False"):
        nnx.export_model(model, tmp_path / "x", formats=("onnx",))
    assert not (tmp_path / "x").exists()


def test_weights_in_half_precision_are_refused_with_the_remedy(tmp_path):
    model = functional(keras.Input((4,)), keras.layers.Dense(2, dtype="float16"))
    with pytest.raises(UnsupportedModelError, match=r"float16.*set_weights"):
        nnx.export_model(model, tmp_path / "x")


def test_operator_without_a_translation_names_the_layer(tmp_path):
    @keras.saving.register_keras_serializable(package="test_engine")
    class Gamma(keras.layers.Layer):
        def call(self, inputs):
            return tf.math.digamma(inputs)

    model = functional(keras.Input((8,)), Gamma(name="gamma"))
    for target in ("onnx", "tflite"):
        with pytest.raises(UnsupportedOperatorError) as caught:
            nnx.export_model(model, tmp_path / "x", formats=(target,))
        assert caught.value.layer_path.endswith("gamma")
        assert caught.value.target == target
        assert "register_lowering" in caught.value.remedy


def test_a_list_that_a_loop_fills_is_refused_in_tflite_by_name(tmp_path):
    @keras.saving.register_keras_serializable(package="test_engine")
    class Sums(keras.layers.Layer):
        def call(self, inputs):
            found = tf.TensorArray(tf.float32, size=0, dynamic_size=True)
            for step in tf.range(tf.shape(inputs)[1]):
                found = found.write(step, tf.reduce_sum(inputs[:, step], axis=-1))
            return tf.transpose(found.stack())

        def compute_output_spec(self, inputs):
            return keras.KerasTensor(inputs.shape[:2], "float32")

    model = functional(keras.Input((None, 4)), Sums(name="sums"))
    with pytest.raises(UnsupportedOperatorError, match=r"sums.*keras\.layers\.RNN"):
        nnx.export_model(model, tmp_path / "x", formats=("tflite",))


DYING = """
import os, sys, json
for line in sys.stdin:
    print("Check failed: something is null", file=sys.stderr, flush=True)
    os.abort()
"""


def test_a_converter_that_dies_takes_nothing_with_it(tmp_path, monkeypatch):
    script = tmp_path / "dying.py"
    script.write_text(DYING)
    monkeypatch.setattr(workers, "_SCRIPT", script)
    monkeypatch.setattr(workers, "_shared", [])
    model = functional(keras.Input((3,)), keras.layers.ReLU())
    with pytest.raises(ConverterCrashError, match=r"signal 6 .*Its last words: Check failed: something is null"):
        nnx.export_model(model, tmp_path / "out" / "x", formats=("tflite",))
    assert not (tmp_path / "out").exists()


def test_a_translator_that_fails_is_an_error_of_ours(tmp_path, monkeypatch):
    def fail(graph):
        raise KeyError("no such node")

    monkeypatch.setattr(onnx_passes, "optimize", fail)
    model = functional(keras.Input((3,)), keras.layers.ReLU())
    with pytest.raises(ConverterCrashError, match="KeyError: 'no such node'"):
        nnx.export_model(model, tmp_path / "x", formats=("onnx",))
    assert not any(tmp_path.iterdir())


def test_wrong_answers_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(operators, "_REGISTRY", {("Relu", "onnx"): lambda operation, x: [x]})
    model = functional(keras.Input((3,)), keras.layers.ReLU(name="clipped"))
    with pytest.raises(ParityError, match=r"'clipped' differs from the model by .* Nothing was written"):
        nnx.export_model(model, tmp_path / "x", formats=("onnx",))
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    "draw",
    [
        lambda x: tf.nn.dropout(x, 0.5),
        lambda x: x + tf.random.normal(tf.shape(x)),
        lambda x: x + np.random.default_rng().normal(),
    ],
    ids=["dropout", "noise", "one draw of numpy"],
)
def test_randomness_at_inference_is_refused(draw, tmp_path):
    model = functional(keras.Input((4,)), keras.layers.Lambda(draw))
    with pytest.raises(UnsupportedModelError, match="changes between two identical calls"):
        nnx.export_model(model, tmp_path / "x")


class FirstIfLong(keras.layers.Layer):
    def call(self, inputs):
        return inputs[:, :1] if inputs.shape[1] is None or inputs.shape[1] > 20 else inputs


def test_a_shape_that_depends_on_how_the_model_is_run_is_refused(tmp_path):
    model = functional(keras.Input((None, 3)), FirstIfLong())
    with pytest.raises(UnsupportedModelError, match=r"narrow them with input_signature"):
        nnx.export_model(model, tmp_path / "x")


def average_of_words():
    """A model that divides by a length, which LiteRT cannot do in int8 where the length is 0."""
    return functional(
        keras.Input((5,), dtype="int32"),
        keras.layers.Embedding(7, 4, mask_zero=True),
        keras.layers.GlobalAveragePooling1D(),
        keras.layers.Dense(3),
    )


def test_a_division_stays_in_float(tmp_path):
    samples = np.random.default_rng(0).integers(0, 7, (32, 5)).astype("int32")
    options = {"formats": ("tflite",), "precision": "int8", "calibration": samples}
    assert nnx.export_model(average_of_words(), tmp_path / "x", **options).proven


def test_a_file_that_its_runtime_cannot_run_is_refused(tmp_path, monkeypatch):
    from keras_nnx.export.quantization import tflite

    monkeypatch.setattr(tflite, "_IN_FLOAT", ("INPUT", "OUTPUT"))
    model = average_of_words()
    samples = np.random.default_rng(0).integers(0, 7, (32, 5)).astype("int32")
    with pytest.raises(RuntimeFailureError, match="leave this format out, or export it in float32"):
        nnx.export_model(model, tmp_path / "x", formats=("tflite",), precision="int8", calibration=samples)
    assert not any(tmp_path.iterdir())


def test_text_is_refused(tmp_path):
    model = functional(keras.Input((), dtype="string"), keras.layers.StringLookup(vocabulary=["a"]))
    with pytest.raises(SignatureError, match="string"):
        nnx.export_model(model, tmp_path / "x")


def test_int8_that_would_quantise_nothing_is_refused(tmp_path):
    model = functional(keras.Input((4,)), keras.layers.ReLU())
    with pytest.raises(UnsupportedModelError, match="int8 applies to none"):
        nnx.export_model(
            model, tmp_path / "x", formats=("onnx",), precision="int8", calibration=np.ones((8, 4), "float32")
        )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"formats": "onnx"}, "in a tuple"),
        ({"formats": ("onnx", "coreml")}, "coreml"),
        ({"formats": ()}, "one or more"),
        ({"precision": "int4"}, "int4"),
        ({"tolerance": -1.0}, "tolerance"),
        ({"labels": ("a", "b")}, "2 labels, but the output 'scores' has a last axis of 3"),
        ({"metadata": {"when": {1, 2}}}, "metadata.*JSON"),
        ({"labels": ("a", "b\nb", "c")}, "line break"),
        ({"labels": ("a", "b\rb", "c")}, "line break"),
        ({"labels": ("a", "", "c")}, "empty"),
    ],
)
def test_arguments_without_a_meaning(classifier, tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        nnx.export_model(classifier, tmp_path / "x", **arguments)
    assert not any(tmp_path.iterdir())


def test_something_that_is_no_model(tmp_path):
    with pytest.raises(ValueError, match=r"keras\.Model.*Dense"):
        nnx.export_model(keras.layers.Dense(2), tmp_path / "x")


@pytest.mark.parametrize(
    ("calibration", "message"),
    [
        (None, "needs calibration"),
        ([], "no example"),
        (np.ones((4, 7, 7, 1), "float32"), r"shape \[4, 7, 7, 1\]"),
        (np.full((4, 8, 8, 1), np.nan, "float32"), "not finite"),
        ({"picture": np.ones((4, 8, 8, 1), "float32")}, "'image'"),
        (7, "no iterable"),
        (np.array([["a"]]), "dtype"),
    ],
)
def test_calibration_that_does_not_fit(classifier, tmp_path, calibration, message):
    with pytest.raises(CalibrationError, match=message):
        nnx.export_model(classifier, tmp_path / "x", precision="int8", formats=("onnx",), calibration=calibration)


def test_an_existing_export_is_replaced_only_when_asked(classifier, tmp_path):
    export = {"formats": ("onnx",), "verify": False}
    nnx.export_model(classifier, tmp_path / "x", **export)
    with pytest.raises(OutputDirectoryError, match="overwrite=True"):
        nnx.export_model(classifier, tmp_path / "x", **export)
    nnx.export_model(classifier, tmp_path / "x", overwrite=True, **export)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letter.txt").write_text("dear")
    with pytest.raises(OutputDirectoryError, match="did not write"):
        nnx.export_model(classifier, tmp_path / "other", overwrite=True, **export)
    assert (tmp_path / "other" / "letter.txt").read_text() == "dear"


def test_failure_in_the_middle_leaves_the_earlier_export(classifier, tmp_path, monkeypatch):
    nnx.export_model(classifier, tmp_path / "x", formats=("onnx",), verify=False)
    before = (tmp_path / "x" / "manifest.json").read_bytes()

    def fail(*arguments):
        raise ExportError("stop")

    monkeypatch.setattr("keras_nnx.export.job.measure_latency", fail)
    with pytest.raises(ExportError, match="stop"):
        nnx.export_model(classifier, tmp_path / "x", overwrite=True)
    assert (tmp_path / "x" / "manifest.json").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_errors_are_one_family():
    for name in nnx.export.__all__:
        if name.endswith("Error"):
            assert issubclass(getattr(nnx.export, name), ExportError)


def test_a_model_that_answers_no_number_proves_nothing(tmp_path):
    model = functional(keras.Input((4,)), keras.layers.Lambda(lambda x: keras.ops.log(-keras.ops.square(x) - 1)))
    with pytest.raises(UnsupportedModelError, match="nothing can be proven"):
        nnx.export_model(model, tmp_path / "x")


def test_a_file_that_breaks_the_standard_is_refused(exported, tmp_path):
    proto = onnx.load(exported.artifacts["onnx"].path)
    proto.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 4
    onnx.save(proto, tmp_path / "model.onnx")
    with pytest.raises(InvalidArtifactError, match="breaks the rules of the standard"):
        inspection.inspect_onnx(tmp_path / "model.onnx", exported.signature)


def _chaos(x):
    """Iterate the logistic map, which doubles a difference at every step."""
    for _ in range(40):
        x = 3.99 * x * (1 - x)
    return x


def test_a_chaotic_model_is_refused(tmp_path):
    model = functional(keras.Input((4,)), keras.layers.Activation("sigmoid"), keras.layers.Lambda(_chaos))
    with pytest.raises(UnsupportedModelError, match="is chaotic"):
        nnx.export_model(model, tmp_path / "x")


def test_a_model_that_is_chaotic_on_some_probes_is_proven_on_the_others(tmp_path):
    jump = keras.layers.Lambda(lambda x: keras.ops.floor(x * 0.7 / 0.35))  # rounds either way on multiples of a half
    report = nnx.export_model(functional(keras.Input((4,)), jump), tmp_path / "x", formats=("onnx",))
    assert report.proven
    assert "Left out of the proof" in report.notes[0]
    assert "ties" in report.notes[0]


def test_a_variable_that_tensorflow_cannot_name(tmp_path):
    class _Hidden(keras.layers.Layer):
        def build(self, input_shape):
            self.weight = self.add_weight(shape=())

        def call(self, inputs):
            return inputs * self.weight

    model = functional(keras.Input((4,)), _Hidden())
    with pytest.raises(UnsupportedModelError, match=r"Give the layer a name= that begins"):
        nnx.export_model(model, tmp_path / "x", formats=("saved_model",))


def test_an_operator_on_float64_is_refused_as_such(tmp_path):
    model = functional(keras.Input((4,)), keras.layers.Lambda(lambda x: keras.ops.median(x, axis=1)))
    with pytest.raises(UnsupportedOperatorError, match="in float64 there"):
        nnx.export_model(model, tmp_path / "x", formats=("tflite",))
