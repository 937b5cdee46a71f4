"""Recurrence in configurations that once went wrong; export/RECURRENCE.md has the table of all."""

import keras
import numpy as np
import pytest
from keras import layers

import keras_nnx as nnx
from keras_nnx.export import job

SEQUENCES = {"return_sequences": True}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(job, "_LATENCY_SECONDS", 0.0)
    keras.utils.set_random_seed(3)


def test_steps_of_a_masked_layer_are_all_gone_through(tmp_path):
    """Keras's TimeDistributed takes the number of samples for that of steps where it knows neither."""
    model = keras.Sequential(
        [keras.Input((None, 4)), layers.Masking(), layers.TimeDistributed(layers.Dense(3)), layers.GRU(2)]
    )
    inputs = np.random.default_rng(0).normal(size=(2, 5, 4)).astype("float32")
    inputs[0, :2] = 0
    inputs[1, 3] = 0
    report = nnx.export_model(model, tmp_path / "x", formats=("saved_model", "onnx"), calibration=inputs)
    assert report.proven


def test_masks_reach_the_layer_at_each_step(tmp_path):
    """A mask of rank 3 is cut into those of the steps."""
    each = layers.TimeDistributed(layers.GRU(2))
    words, mask = keras.Input((None, 3, 2), name="words"), keras.Input((None, 3), dtype="bool", name="mask")
    model = keras.Model([words, mask], each(words, mask=mask))
    random = np.random.default_rng(0)
    inputs = {"words": random.normal(size=(2, 4, 3, 2)).astype("float32"), "mask": random.random((2, 4, 3)) < 0.5}
    report = nnx.export_model(model, tmp_path / "x", formats=("onnx",), calibration=inputs)
    assert report.proven
    assert "GRU" in report.artifacts["onnx"].operators


@pytest.mark.parametrize("target", ["onnx", "tflite"])
def test_zeros_of_masked_steps_are_in_their_places_when_steps_are_written_out(target, tmp_path):
    """Keras reads the mask from the wrong end when it writes out steps that it goes through backwards."""
    backwards = layers.GRU(2, go_backwards=True, zero_output_for_mask=True, **SEQUENCES)
    model = keras.Sequential([keras.Input((4, 3), batch_size=1), layers.Masking(), backwards])
    inputs = np.random.default_rng(0).normal(size=(1, 4, 3)).astype("float32")
    inputs[:, :2] = 0
    report = nnx.export_model(model, tmp_path / "x", formats=(target,), recurrent="unroll", calibration=inputs)
    assert report.proven


@pytest.mark.parametrize("target", ["onnx", "tflite"])
def test_a_layer_that_unrolls_itself_answers_as_it_does_in_keras(target, tmp_path):
    unrolled = layers.LSTM(2, go_backwards=True, zero_output_for_mask=True, unroll=True, **SEQUENCES)
    model = keras.Sequential([keras.Input((4, 3), batch_size=1), layers.Masking(), unrolled])
    inputs = np.random.default_rng(0).normal(size=(1, 4, 3)).astype("float32")
    inputs[:, :2] = 0
    assert nnx.export_model(model, tmp_path / "x", formats=(target,), calibration=inputs).proven


@pytest.mark.parametrize("layer", [layers.GRU, layers.SimpleRNN])
def test_softplus_of_large_numbers_is_finite(layer, tmp_path):
    """ONNX Runtime's operators overflow there, so that a loop stands for them."""
    model = keras.Sequential([keras.Input((3, 2)), layer(2, activation="softplus")])
    report = nnx.export_model(model, tmp_path / "x", formats=("onnx",))
    assert report.proven
    assert "Loop" in report.artifacts["onnx"].operators
