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
    words, mask = keras.Input((None, None, 4), name="words"), keras.Input((None, None), dtype="bool", name="mask")
    model = keras.Model([words, mask], each(words, mask=mask))
    report = nnx.export_model(model, tmp_path / "x", formats=("onnx",))
    assert report.proven
    assert "GRU" in report.artifacts["onnx"].operators
