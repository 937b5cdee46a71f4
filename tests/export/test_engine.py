import dataclasses
import json

import keras
import numpy as np
import onnx
import pytest
import tensorflow as tf

import keras_nnx as nnx
from keras_nnx.export import ParityError, SignatureError
from keras_nnx.export.proof.runtimes import LiteRt, OnnxRuntime

FORMATS = ("saved_model", "onnx", "tflite")


def functional(inputs, *layers):
    x = inputs
    for layer in layers:
        x = layer(x)
    return keras.Model(inputs, x)


def test_labels_of_several_outputs_are_those_of_the_first(tmp_path):
    row = keras.Input((4,), name="row")
    outputs = {"which": keras.layers.Dense(2)(row), "where": keras.layers.Dense(2)(row)}
    report = nnx.export_model(
        keras.Model(row, outputs), tmp_path / "x", formats=("saved_model",), labels=("no", "yes"), verify=False
    )
    (note,) = (note for note in report.notes if "labels" in note)
    assert report.signature.outputs[0].name in note


def test_every_format_is_proven_measured_and_recorded(exported):
    assert exported.proven
    assert list(exported.artifacts) == list(FORMATS)
    for artifact in exported.artifacts.values():
        assert artifact.path.exists()
        assert artifact.parity.max_abs_error < 1e-4
        assert artifact.parity.batches >= 5
        assert artifact.latency_ms.p95 >= artifact.latency_ms.median > 0
        assert artifact.size_bytes > 0
        assert artifact.operators
    manifest = json.loads((exported.directory / "manifest.json").read_text())
    assert manifest["metadata"] == {"note": "for tests"}
    assert manifest["labels"] == ["a", "b", "c"]
    assert {"keras", "tensorflow", "onnxruntime", "ai-edge-litert"} <= set(manifest["versions"])


def test_names_and_dimensions_are_those_of_keras_in_every_format(exported):
    proto = onnx.load(exported.artifacts["onnx"].path)
    assert [value.name for value in proto.graph.input] == ["image"]
    assert [value.name for value in proto.graph.output] == ["scores"]
    assert proto.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    assert {entry.key: entry.value for entry in proto.metadata_props}["labels"] == "a\nb\nc"
    assert str(exported.signature.inputs[0]) == "image: float32[batch, 8, 8, 1]"


@pytest.mark.parametrize(("runtime", "target"), [(OnnxRuntime, "onnx"), (LiteRt, "tflite")])
def test_artifacts_compute_what_the_model_computes(exported, classifier, pictures, runtime, target):
    answers = runtime(exported.artifacts[target].path)({"image": pictures})["scores"]
    np.testing.assert_allclose(answers, np.asarray(classifier(pictures)), atol=1e-6)


def test_a_saved_model_is_a_layer_of_keras_and_can_be_trained_on(exported, classifier, pictures):
    path = exported.artifacts["saved_model"].path
    layer = keras.layers.TFSMLayer(path, call_endpoint="serve")
    np.testing.assert_allclose(layer({"image": pictures[:3]})["scores"], classifier(pictures[:3]), rtol=1e-5)
    loaded = tf.saved_model.load(path)
    assert [tuple(variable.shape) for variable in loaded.variables] == [v.shape for v in classifier.variables]
    with tf.GradientTape() as tape:
        answer = tf.reduce_max(loaded.serve({"image": pictures[:3]})["scores"])
    gradients = tape.gradient(answer, loaded.trainable_variables)
    assert len(gradients) == len(classifier.trainable_variables)
    assert all(gradient is not None for gradient in gradients)


def test_reports_as_json_html_and_text(exported, tmp_path):
    exported.to_json(tmp_path / "report.json")
    assert json.loads((tmp_path / "report.json").read_text())["artifacts"]["onnx"]["parity"]["passed"]
    page = exported.to_html(tmp_path / "report.html")
    assert "TFLite" in page
    assert "http" not in page
    assert "proven" in str(exported)


def test_html_escapes_what_comes_from_the_model(classifier, tmp_path):
    report = nnx.export_model(
        classifier, tmp_path / "x", formats=("onnx",), labels=("<script>", "b", "c"), verify=False
    )
    page = report.to_html()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "not proven" in page
    assert not report.proven


def test_int8_is_smaller_and_close(exported, classifier, pictures, tmp_path):
    report = nnx.export_model(
        classifier, tmp_path / "int8", formats=("onnx", "tflite"), precision="int8", calibration=pictures
    )
    for name, artifact in report.artifacts.items():
        assert artifact.precision == "int8"
        assert artifact.parity.sqnr_db > 20
        assert artifact.parity.top1_agreement > 0.9
        assert artifact.float_operators is not None
        assert {"QuantizeLinear", "QUANTIZE"} & set(artifact.operators), name
    nnx.verify_export(tmp_path / "int8")


def test_structures_of_inputs_and_outputs_are_named_the_same_everywhere(tmp_path):
    left, right = keras.Input((4,), name="zeta"), keras.Input((None, 6), name="alpha")
    pooled = keras.layers.GlobalAveragePooling1D()(right)
    outputs = {"total": keras.layers.Dense(2)(left), "also": keras.layers.Concatenate()([left, pooled])}
    model = keras.Model({"zeta": left, "alpha": right}, outputs)
    report = nnx.export_model(model, tmp_path / "x")
    assert {spec.name for spec in report.signature.inputs} == {"zeta", "alpha"}
    assert {spec.name for spec in report.signature.outputs} == {"total", "also"}
    assert report.signature.dynamic_dimensions == ("batch", "alpha_time")
    assert report.proven


def test_inputs_that_keras_named_by_counting_get_stable_names(tmp_path):
    for turn in range(2):
        model = functional(keras.Input((4,)), keras.layers.Dense(2, name="d"))
        report = nnx.export_model(model, tmp_path / str(turn), formats=("onnx",))
        assert [str(spec) for spec in report.signature.inputs] == ["input: float32[batch, 4]"]
    pair = [keras.Input((4,)), keras.Input((4,), name="named")]
    report = nnx.export_model(keras.Model(pair, keras.layers.Add()(pair)), tmp_path / "pair", formats=("onnx",))
    assert [spec.name for spec in report.signature.inputs] == ["input_1", "named"]


def test_relative_directories_after_a_change_of_folder(classifier, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert nnx.export_model(classifier, "out").proven
    assert nnx.verify_export("out").proven


def test_two_outputs_of_one_layer_get_two_names(tmp_path):
    inputs = keras.Input((4,))
    output = keras.layers.Dense(2, name="d")(inputs)
    report = nnx.export_model(keras.Model(inputs, [output, output]), tmp_path / "x", formats=("onnx",))
    assert [spec.name for spec in report.signature.outputs] == ["d", "d_1"]


def test_masked_integer_inputs_stay_within_the_vocabulary(tmp_path):
    model = functional(
        keras.Input((None,), dtype="int32"),
        keras.layers.Embedding(5, 4, mask_zero=True),
        keras.layers.GlobalAveragePooling1D(),
        keras.layers.Dense(2),
    )
    assert nnx.export_model(model, tmp_path / "x").proven


def test_subclassed_model_by_input_signature(tmp_path):
    class Doubler(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(2)

        def call(self, inputs):
            return {"doubled": 2 * self.dense(inputs["x"])}

    model = Doubler()
    with pytest.raises(SignatureError, match="input_signature"):
        nnx.export_model(model, tmp_path / "x")
    report = nnx.export_model(
        model, tmp_path / "x", input_signature={"x": keras.Input((3,))}, formats=("onnx", "tflite")
    )
    assert [spec.name for spec in report.signature.outputs] == ["doubled"]


def test_input_signature_narrows(tmp_path):
    model = functional(keras.Input((None, None, 3)), keras.layers.GlobalMaxPooling2D(), keras.layers.Dense(2))
    wanted = keras.Input(batch_shape=(1, 16, 16, 3), name="image")
    report = nnx.export_model(model, tmp_path / "x", input_signature=wanted, formats=("tflite",))
    assert report.signature.inputs[0].shape == (1, 16, 16, 3)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_training_exports_in_float32_and_is_left_as_it_was(policy, tmp_path):
    model = functional(
        keras.Input((8,)), keras.layers.Dense(4, dtype=policy), keras.layers.Dense(2, dtype=policy, activation="gelu")
    )
    report = nnx.export_model(model, tmp_path / "x")
    assert report.proven
    assert "float32" in report.notes[0]
    assert {layer.dtype_policy.name for layer in model.layers[1:]} == {policy}


def test_valid_convolutions_over_unknown_sizes(tmp_path):
    model = functional(
        keras.Input((None, None, 1)),
        keras.layers.Conv2D(2, 5),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(2),
    )
    report = nnx.export_model(model, tmp_path / "x", formats=("onnx", "tflite"))
    assert report.proven
    assert report.signature.dynamic_dimensions == ("batch", "height", "width")


def test_many_exports_in_one_process_are_quiet(classifier, tmp_path):
    for turn in range(8):  # warnings are errors here
        assert nnx.export_model(classifier, tmp_path / str(turn), formats=("onnx",)).proven


def test_captured_constants_are_no_inputs(tmp_path):
    model = functional(
        keras.Input((300,)),
        keras.layers.Normalization(mean=np.arange(300.0), variance=np.ones(300)),
        keras.layers.Dense(1),
    )
    report = nnx.export_model(model, tmp_path / "x", formats=("onnx", "tflite"))
    assert len(onnx.load(report.artifacts["onnx"].path).graph.input) == 1


def test_exact_gelu_has_no_erfc_in_onnx_and_is_builtin_in_tflite(tmp_path):
    model = functional(keras.Input((None, 8)), keras.layers.Dense(16, activation="gelu"))
    report = nnx.export_model(model, tmp_path / "x", formats=("onnx", "tflite"))
    assert report.artifacts["onnx"].operators["Gelu"] == 1
    assert "GELU" in report.artifacts["tflite"].operators


ACTIVATIONS = sorted(
    name
    for name in vars(keras.activations)
    if not name.startswith("_") and name not in ("deserialize", "get", "serialize", "threshold")
)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_of_keras(name, export):
    assert export(functional(keras.Input((6, 4)), keras.layers.Activation(name))).proven


def test_int8_that_answers_otherwise_says_so(classifier, pictures, tmp_path, monkeypatch):
    from keras_nnx.export import engine

    monkeypatch.setattr(engine, "_TOP1_WORTH_A_NOTE", 1.1)
    report = nnx.export_model(classifier, tmp_path / "int8", formats=("onnx",), precision="int8", calibration=pictures)
    assert "measure its accuracy" in report.notes[0]


def test_formats_may_be_any_iterable(classifier, tmp_path):
    report = nnx.export_model(classifier, tmp_path / "x", formats=iter(["onnx"]))
    assert list(report.artifacts) == ["onnx"]
    assert report.proven
    assert not dataclasses.replace(report, artifacts={}).proven


@pytest.mark.parametrize(
    "function",
    [
        lambda x: keras.ops.one_hot(x, 3),
        lambda x: keras.ops.one_hot(x, 3, axis=1),
        lambda x: keras.ops.multi_hot(x, 6),
        lambda x: x // 10,
        lambda x: keras.ops.mod(x, 24),
        lambda x: keras.ops.mod(x // 3, -7),
    ],
)
@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_negative_integers(function, dtype, tmp_path):
    inputs = keras.Input((4,), dtype=dtype)
    model = keras.Model(inputs, function(inputs))
    report = nnx.export_model(model, tmp_path / "x", formats=("onnx",))
    values = np.array([[-1, -30, 14, 5], [-7, 0, 1, 23]], dtype)
    (answer,) = OnnxRuntime(report.artifacts["onnx"].path)({report.signature.inputs[0].name: values}).values()
    np.testing.assert_array_equal(answer, np.asarray(model(values)))


def test_dimensions_that_have_to_be_equal_share_a_name(tmp_path):
    left, right = keras.Input((None, 8), name="left"), keras.Input((None, 8), name="right")
    other = keras.Input((None, 4), name="other")
    outputs = [keras.layers.Add(name="sum")([left, right]), keras.layers.GlobalMaxPooling1D(name="top")(other)]
    report = nnx.export_model(keras.Model([left, right, other], outputs), tmp_path / "x", formats=("onnx",))
    assert [spec.shape for spec in report.signature.inputs] == [
        ("batch", "left_time", 8),
        ("batch", "left_time", 8),
        ("batch", "other_time", 4),
    ]
    assert report.signature.outputs[0].shape == ("batch", "left_time", 8)


def test_tokens_and_their_mask_share_their_length_and_use_the_whole_vocabulary(tmp_path):
    tokens, mask = keras.Input((None,), dtype="int32", name="tokens"), keras.Input((None,), dtype="int32", name="mask")
    segments = keras.Input((None,), dtype="int32", name="segments")
    x = keras.layers.Embedding(30, 4)(tokens) + keras.layers.Embedding(2, 4)(segments)
    x = x * keras.ops.expand_dims(keras.ops.cast(mask, "float32"), -1)
    report = nnx.export_model(keras.Model([tokens, mask, segments], x), tmp_path / "x", formats=("onnx",))
    assert report.signature.dynamic_dimensions == ("batch", "length")
    with np.load(report.directory / "probes.npz") as probes:
        assert probes["1/input/tokens"].max() > 20
        assert probes["1/input/segments"].max() == 1


def test_first_sizes_are_those_that_the_model_takes(tmp_path):
    inputs = keras.Input((None, None, 1))
    x = inputs
    for _ in range(5):
        x = keras.layers.Conv2D(1, 3, strides=2)(x)  # 16 pixels are too few
    report = nnx.export_model(keras.Model(inputs, x), tmp_path / "x", formats=("onnx",))
    with np.load(report.directory / "probes.npz") as probes:
        assert probes["0/input/input"].shape == (1, 64, 64, 1)


def test_a_model_that_takes_several_arguments(tmp_path):
    class Sum(keras.Model):
        def call(self, x, y, training=False):
            return x + 2 * y

    report = nnx.export_model(
        Sum(), tmp_path / "x", input_signature={"x": keras.Input((3,)), "y": keras.Input((3,))}, formats=("onnx",)
    )
    assert [spec.name for spec in report.signature.inputs] == ["x", "y"]


def test_an_output_with_the_name_of_an_input_gets_its_own(tmp_path):
    inputs = keras.Input((3,), name="x")
    model = keras.Model({"x": inputs}, {"x": keras.layers.Dense(2)(inputs), "file": inputs})
    report = nnx.export_model(model, tmp_path / "x")
    assert [spec.name for spec in report.signature.outputs] == ["file", "x_output"]


def test_int8_of_inputs_with_any_name(tmp_path):
    model = functional(keras.Input((4,), name="file"), keras.layers.Dense(3))
    samples = np.random.default_rng(0).normal(size=(32, 4)).astype("float32")
    assert nnx.export_model(model, tmp_path / "x", precision="int8", calibration=tf.constant(samples)).proven


def test_int8_that_keeps_only_the_offset_is_refused(tmp_path):
    model = functional(
        keras.Input((8,)),
        keras.layers.Dense(32, activation="relu"),
        keras.layers.Dense(1, bias_initializer=keras.initializers.Constant(5000.0)),
    )
    samples = np.random.default_rng(0).normal(size=(64, 8)).astype("float32")
    with pytest.raises(ParityError, match="signal-to-noise ratio"):
        nnx.export_model(model, tmp_path / "x", formats=("onnx",), precision="int8", calibration=samples)


@pytest.mark.parametrize("wrap", [lambda a, b: [(a, b)], lambda a, b: [((a, b), np.zeros(32))], lambda a, b: (a, b)])
def test_calibration_of_two_inputs(wrap, tmp_path):
    inputs = [keras.Input((4,), name="a"), keras.Input((4,), name="b")]
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Add()(inputs)))
    first, second = np.random.default_rng(0).normal(size=(2, 32, 4)).astype("float32")
    assert nnx.export_model(model, tmp_path / "x", formats=("onnx",), calibration=wrap(first, second)).proven


@pytest.mark.parametrize("metadata", [{1: "a", 2: "b", 10: "c"}, {1: "a", "b": 2}])
def test_metadata_are_what_json_keeps(metadata, classifier, tmp_path):
    report = nnx.export_model(classifier, tmp_path / "x", formats=("onnx",), metadata=metadata)
    assert report.metadata["1"] == "a"
    assert nnx.verify_export(tmp_path / "x").metadata == report.metadata


@pytest.mark.parametrize(
    "added",
    [
        lambda x: keras.ops.hard_swish(x + 3.0),
        lambda x: x + np.arange(4, dtype="float32").reshape(4, 1),
        lambda x: x + np.arange(4, dtype="float32"),
        lambda x: keras.ops.concatenate([x + np.arange(4.0, dtype="float32"), x * np.arange(4.0, dtype="float32")]),
    ],
    ids=["a number", "along the width", "along the channels", "a shared constant"],
)
def test_what_is_added_to_a_convolution(added, tmp_path):
    image = keras.Input((4, 4, 2))
    model = keras.Model(image, added(keras.layers.Conv2D(4, 3, padding="same", use_bias=False)(image)))
    assert nnx.export_model(model, tmp_path / "x", formats=("onnx", "tflite")).proven


def test_draws_that_the_answer_does_not_depend_on(tmp_path):
    hue = keras.layers.RandomHue(0.2, seed=3)
    model = functional(keras.Input((8, 8, 3)), hue, keras.layers.Flatten(), keras.layers.Dense(2))
    assert nnx.export_model(model, tmp_path / "x").proven


def test_a_table_becomes_operators(tmp_path):
    model = functional(keras.Input((3,), dtype="int64"), keras.layers.IntegerLookup(vocabulary=[4, 9, -1]))
    report = nnx.export_model(model, tmp_path / "x")
    values = np.array([[4, 5, 9], [-1, 0, 4]], "int64")
    for target, runtime in (("onnx", OnnxRuntime), ("tflite", LiteRt)):
        (answer,) = runtime(report.artifacts[target].path)({"input": values}).values()
        np.testing.assert_array_equal(answer, model(values))


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic", "lanczos3"])
def test_resizes_of_unknown_size(interpolation, tmp_path):
    up = keras.layers.UpSampling2D((2, 3), interpolation=interpolation)
    model = functional(keras.Input((None, None, 3)), up, keras.layers.Resizing(7, 9, interpolation=interpolation))
    assert nnx.export_model(model, tmp_path / "x").proven


def test_layers_distributed_over_an_unknown_time(tmp_path):
    model = functional(keras.Input((None, 6)), keras.layers.TimeDistributed(keras.layers.Dense(4)))
    report = nnx.export_model(model, tmp_path / "x")
    assert report.signature.outputs[0].shape == ("batch", "time", 4)


@pytest.mark.parametrize("function", [keras.ops.normalize, lambda x: tf.math.l2_normalize(x, -1)], ids=["keras", "tf"])
def test_normalised_zeros(function, tmp_path):
    model = functional(keras.Input((4,)), keras.layers.Lambda(function))
    assert nnx.export_model(model, tmp_path / "x").proven


def test_a_model_that_answers_all_inputs_alike_is_noted(tmp_path):
    dull = functional(keras.Input((4,)), keras.layers.Dense(3, kernel_initializer="zeros"), keras.layers.Softmax())
    lively = functional(keras.Input((4,)), keras.layers.Dense(3), keras.layers.Softmax())
    notes = [nnx.export_model(m, tmp_path / m.name, formats=("onnx",)).notes for m in (dull, lively)]
    assert "the proof says little" in notes[0][0]
    assert notes[1] == ()
