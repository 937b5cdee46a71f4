"""Models from files that others wrote."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_nnx as nnx
from keras_nnx.export import ExportError, SignatureError, load_model


class Served(tf.Module):
    """A variable and a lookup table behind one signature."""

    def __init__(self):
        super().__init__()
        self.weight = tf.Variable(tf.random.stateless_normal((4, 3), (0, 1)))
        keys, values = tf.constant([1, 2, 3], tf.int64), tf.constant([5.0, 6.0, 7.0])
        self.table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, values), 0.0)

    @tf.function(input_signature=[tf.TensorSpec((None, 4), tf.float32, "x"), tf.TensorSpec((None,), tf.int64, "key")])
    def serve(self, x, key):
        return {"product": x @ self.weight, "found": self.table.lookup(key)}


def test_a_saved_model_of_anyone_exports(tmp_path):
    served = Served()
    tf.saved_model.save(served, str(tmp_path / "served"), signatures={"serve": served.serve})
    model = load_model(tmp_path / "served")
    report = nnx.export_model(model, tmp_path / "x")
    assert report.proven
    assert report.parameters == 12
    assert {spec.name for spec in report.signature.inputs} == {"x", "key"}
    assert {spec.name for spec in report.signature.outputs} == {"product", "found"}


def test_what_was_exported_can_be_exported_again(exported, tmp_path):
    model = load_model(exported.directory / "saved_model")
    report = nnx.export_model(model, tmp_path / "x", formats=("onnx",))
    assert report.proven
    assert report.signature == exported.signature


def test_a_saved_model_that_reads_files_is_refused(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("secret")

    @tf.function(input_signature=[tf.TensorSpec((None, 4), tf.float32, "x")])
    def leak(x):
        return {"y": x + tf.cast(tf.strings.length(tf.io.read_file(str(secret))), tf.float32)}

    module = tf.Module()
    module.leak = leak
    tf.saved_model.save(module, str(tmp_path / "leak"), signatures={"serving_default": leak})
    with pytest.raises(ExportError, match=r"ReadFile.*--unsafe"):
        load_model(tmp_path / "leak")
    assert load_model(tmp_path / "leak", safe_mode=False).output_shape == (None, 4)


def test_a_saved_model_without_a_signature_is_refused(tmp_path):
    tf.saved_model.save(tf.Module(), str(tmp_path / "empty"))
    with pytest.raises(SignatureError, match="no signature"):
        load_model(tmp_path / "empty")


def test_code_in_a_keras_file_runs_only_when_asked(tmp_path):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Lambda(lambda x: x + 1.0)])
    model.save(tmp_path / "m.keras")
    with pytest.raises(ExportError, match="--unsafe"):
        load_model(tmp_path / "m.keras")
    loaded = load_model(tmp_path / "m.keras", safe_mode=False)
    np.testing.assert_array_equal(loaded.predict(np.ones((2, 3)), verbose=0), np.full((2, 3), 2.0))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("nothing.keras", None, "does not exist"),
        ("", None, "without a saved_model.pb"),
        ("notes.txt", b"notes", "neither"),
    ],
)
def test_what_is_no_model_is_refused(tmp_path, name, content, said):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ExportError, match=said):
        load_model(tmp_path / name)


def test_an_older_keras_file_is_refused_with_what_to_do(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.save_weights(tmp_path / "model.weights.h5")
    with pytest.raises(ExportError, match="HDF5"):
        load_model(tmp_path / "model.weights.h5")


def test_an_export_directory_names_the_model_in_it(exported):
    with pytest.raises(ExportError, match="saved_model"):
        load_model(exported.directory)


def test_inspect_says_the_same_of_every_form(exported):
    for path in (exported.directory, *(artifact.path for artifact in exported.artifacts.values())):
        found = nnx.inspect_export(path)
        assert [(spec.name, spec.shape[1:], spec.dtype) for spec in found.inputs] == [("image", (8, 8, 1), "float32")]
        assert str(found).startswith(str(path))
        assert "image: float32[" in str(found)
        assert json.loads(found.to_json())["inputs"][0]["shape"][1:] == [8, 8, 1]


def test_inspect_refuses_what_it_does_not_know(tmp_path):
    (tmp_path / "broken.onnx").write_bytes(b"\xff\xff")
    (tmp_path / "broken.tflite").write_bytes(b"nothing")
    (tmp_path / "notes.txt").write_bytes(b"notes")
    for name, said in {
        "broken.onnx": "no ONNX file",
        "broken.tflite": "no TFLite file",
        "missing.onnx": "does not exist",
        "notes.txt": "name a .keras file, a SavedModel directory, an .onnx",
    }.items():
        with pytest.raises(ExportError, match=said):
            nnx.inspect_export(tmp_path / name)
