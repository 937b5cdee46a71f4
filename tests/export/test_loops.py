"""What is inside loops: weights of lower precision, and a report that looks into them."""

import keras
import numpy as np
import pytest

import keras_nnx as nnx

layers = keras.layers


def model_of(*parts, shape=(None, 8)):
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input(shape, name="x"), *parts, layers.Dense(2)])


def exported(model, tmp_path, precision="float32", **options):
    if precision == "int8":
        shape = [6 if size is None else size for size in model.inputs[0].shape[1:]]
        options["calibration"] = np.random.default_rng(0).normal(size=(32, *shape)).astype("float32")
    folder = tmp_path / f"{len(list(tmp_path.iterdir()))}"
    report = nnx.export_model(model, folder, formats=("onnx",), precision=precision, **options)
    assert report.proven
    return report.artifacts["onnx"], report


LOOPS = {
    "asked for": lambda: model_of(layers.LSTM(64)),
    "gelu": lambda: model_of(layers.LSTM(64, activation="gelu")),
    "normalised": lambda: model_of(layers.RNN(nnx.layers.LayerNormalizationLSTMCell(64))),
    "pictures": lambda: model_of(layers.ConvLSTM1D(32, 3, padding="same"), layers.Flatten(), shape=(3, 4, 16)),
}


@pytest.mark.parametrize(("kind", "precision"), [*((kind, "int8") for kind in LOOPS), ("gelu", "int8_dynamic")])
def test_int8_reaches_the_weights_in_a_loop(kind, precision, tmp_path):
    model = LOOPS[kind]()
    recurrent = "loop" if kind == "asked for" else "auto"
    artifact, report = exported(model, tmp_path, precision, recurrent=recurrent)
    assert artifact.operators["Loop"] == 1
    assert artifact.parity.sqnr_db > 25
    assert artifact.size_bytes < 0.75 * 4 * model.count_params()
    assert any("computed in float" in note and "(Loop, weights in int8)" in note for note in report.notes)
    assert artifact.float_operators["Conv" if kind == "pictures" else "MatMul"] >= 2
    assert "Loop" not in artifact.float_operators


def test_float16_reaches_the_weights_in_a_loop(tmp_path):
    model = LOOPS["gelu"]()
    artifact, _ = exported(model, tmp_path, "float16")
    assert artifact.parity.sqnr_db > 50
    assert artifact.size_bytes < 0.75 * 4 * model.count_params()
