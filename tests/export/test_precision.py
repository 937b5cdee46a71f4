"""Lower precisions, and what they are measured by."""

import contextlib

import keras
import numpy as np
import onnx
import pytest

import keras_nnx as nnx
from keras_nnx.export import ExportError, ParityError, UnsupportedModelError, engine
from keras_nnx.export.quantization.selection import fewest_kept


@pytest.mark.parametrize("precision", ["float16", "int8_dynamic"])
def test_smaller_weights_need_no_calibration(precision, tmp_path):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((16,), name="inputs")
    hidden = keras.layers.Dense(256, activation="relu")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(10)(hidden))
    full = nnx.export_model(model, tmp_path / "full", formats=("onnx", "tflite"))
    report = nnx.export_model(model, tmp_path / "small", formats=("onnx", "tflite"), precision=precision)
    for name, artifact in report.artifacts.items():
        assert artifact.precision == precision
        assert artifact.parity.sqnr_db > (50 if precision == "float16" else 20)
        share = artifact.size_bytes / full.artifacts[name].size_bytes
        assert share < (0.75 if precision == "float16" else 0.6)
    nnx.verify_export(tmp_path / "small")


def test_a_note_says_that_int8_made_a_small_model_larger(classifier, pictures, tmp_path):
    report = nnx.export_model(
        classifier, tmp_path / "x", formats=("onnx",), precision="int8", calibration=pictures, labels="abc"
    )
    assert any(note.startswith("onnx: the file in int8 is larger than the one in float32") for note in report.notes)
    proto = onnx.load(report.artifacts["onnx"].path)
    assert proto.producer_name == "keras_nnx"
    assert {entry.key for entry in proto.metadata_props} >= {"labels", "signature", "versions"}


ALSO = {
    "probabilities": lambda scores: keras.layers.Softmax()(scores),
    "class": lambda scores: keras.ops.argmax(scores, -1),
    "sign": lambda scores: scores > 0,
    "product": lambda scores: keras.layers.Dense(4)(scores),
    "itself": lambda scores: scores,
    "number": lambda scores: keras.ops.sum(scores),
}


@pytest.mark.parametrize("also", ALSO)
def test_outputs_that_the_model_reads_too(also, tmp_path):
    row = keras.Input((64,), name="row")
    scores = keras.layers.Dense(10, name="scores")(keras.layers.Dense(32, activation="relu")(row))
    model = keras.Model(row, [scores, ALSO[also](scores)])
    rows = np.random.default_rng(0).standard_normal((64, 64)).astype("float32")
    report = nnx.export_model(
        model, tmp_path / "x", formats=("onnx", "tflite"), precision="int8", calibration=rows, sqnr_floor_db=5
    )
    assert report.proven


@pytest.mark.parametrize("precision", ["float16", "int8_dynamic", "int8"])
def test_one_number_for_each_call_in_any_precision(precision, tmp_path):
    row = keras.Input((64,), name="row")
    hidden = keras.layers.Dense(64)(row)
    model = keras.Model(row, [hidden, keras.ops.mean(hidden)])
    rows = np.random.default_rng(0).standard_normal((64, 64)).astype("float32")
    formats = ("onnx", "tflite")
    report = nnx.export_model(
        model, tmp_path / "x", formats=formats, precision=precision, calibration=rows, sqnr_floor_db=1
    )
    assert report.proven


def test_a_model_that_keras_quantised_exports(tmp_path):
    model = keras.Sequential([keras.Input((300,)), keras.layers.Dense(16, activation="relu"), keras.layers.Dense(4)])
    for layer in model.layers:
        layer.quantize("int8")
    assert nnx.export_model(model, tmp_path / "x").proven


@pytest.mark.parametrize(("precision", "target"), [("float16", "onnx"), ("int8_dynamic", "tflite")])
def test_a_model_with_nothing_to_make_smaller_is_refused(precision, target, tmp_path):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    with pytest.raises(UnsupportedModelError, match="applies to none"):
        nnx.export_model(model, tmp_path / "x", formats=(target,), precision=precision)


@pytest.mark.parametrize("target", ["onnx", "tflite"])
def test_a_floor_keeps_the_fewest_layers_in_float(target, classifier, pictures, tmp_path):
    options = {"formats": (target,), "precision": "int8", "calibration": pictures}
    plain = nnx.export_model(classifier, tmp_path / "plain", **options).artifacts[target]
    floor = plain.parity.sqnr_db + 1
    report = nnx.export_model(classifier, tmp_path / "kept", sqnr_floor_db=floor, **options)
    artifact = report.artifacts[target]
    assert artifact.parity.sqnr_db >= floor
    assert artifact.kept_in_float
    assert any(f"{target}: kept in float" in note for note in report.notes)
    nnx.verify_export(tmp_path / "kept")


def test_a_floor_that_cannot_be_reached_is_refused(classifier, pictures, tmp_path):
    with pytest.raises(UnsupportedModelError, match="with any layer in int8"):
        nnx.export_model(
            classifier,
            tmp_path / "x",
            formats=("onnx",),
            precision="int8",
            calibration=pictures,
            sqnr_floor_db=150,
        )


@pytest.mark.parametrize(
    "options", [{"sqnr_floor_db": 20.0}, {"sqnr_floor_db": -1, "precision": "int8"}, {"precision": "int4"}]
)
def test_options_without_a_meaning_are_errors(options, classifier, tmp_path):
    with pytest.raises(ValueError, match=r"sqnr_floor_db|precision"):
        nnx.export_model(classifier, tmp_path / "x", **options)


def test_the_costliest_are_kept_and_no_more():
    noise = {"a": 1.0, "b": 5.0, "c": 0.1, "d": 4.0}

    def measure(kept):
        return -sum(value for layer, value in noise.items() if layer not in kept)

    assert fewest_kept(list(noise), measure, -20) == []
    assert fewest_kept(list(noise), measure, -6) == ["b"]
    assert fewest_kept(list(noise), measure, -1.1) == ["b", "d"]
    assert fewest_kept(list(noise), measure, 1) is None


def test_the_first_layer_that_differs_is_named(tmp_path, monkeypatch):
    from keras_nnx.export.lowering import layers as registry

    @keras.saving.register_keras_serializable(package="test_precision")
    class Shifted(keras.layers.Layer):
        def call(self, inputs):
            return inputs + 1.0

    monkeypatch.setattr(registry, "_REGISTRY", dict(registry._REGISTRY))
    nnx.export.register_lowering(Shifted)(lambda layer, inputs: inputs + 1.5)
    inputs = keras.Input((4,), name="inputs")
    tensor = keras.layers.Dense(4, name="before")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2, name="after")(Shifted(name="culprit")(tensor)))
    for target in ("onnx", "tflite"):
        with pytest.raises(ParityError, match="culprit") as caught:
            nnx.export_model(model, tmp_path / "x", formats=(target,))
        assert caught.value.diverging_layer.endswith("culprit")


@pytest.mark.multiprocess
def test_a_file_that_ends_its_runtime_is_an_error_and_not_the_end(tmp_path, monkeypatch):
    """Without what keeps outputs apart, LiteRT writes beyond its memory, and glibc ends the process that it is in."""
    from keras_nnx.export.quantization import tflite
    from keras_nnx.export.workers import Worker

    keras.utils.set_random_seed(0)
    row = keras.Input((512,), name="row")
    scores = keras.layers.Dense(10, name="scores")(keras.layers.Dense(64, activation="relu")(row))
    model = keras.Model(row, [scores, keras.layers.Softmax(name="probabilities")(scores)])
    rows = np.random.default_rng(0).standard_normal((64, 512)).astype("float32")
    monkeypatch.setattr(tflite, "with_outputs_apart", lambda content: content)
    with Worker() as worker:
        monkeypatch.setattr(engine, "borrowed_worker", lambda: contextlib.nullcontext(worker))
        with pytest.raises(ExportError):
            nnx.export_model(model, tmp_path / "x", formats=("tflite",), precision="int8", calibration=rows)
    assert not any(tmp_path.iterdir())
