"""The same weights give the same bytes, in whatever process."""

import os
import subprocess
import sys

import onnx
import pytest

PROGRAM = """
import sys
import keras
import numpy as np
import keras_nnx as nnx

keras.utils.set_random_seed(1)
rows = keras.Input((None, 8), name="rows")
x = keras.layers.LayerNormalization(name="norm")(rows)
x = keras.layers.MultiHeadAttention(2, 4, name="attention")(x, x)
x = keras.layers.Conv1D(4, 3, name="convolution")(x)
model = keras.Model(rows, keras.layers.Dense(5, activation="gelu", name="scores")(x), name="model")
for _ in range(int(sys.argv[2])):
    model(np.zeros((1, 3, 8), "float32"))  # Keras counts calls in the names of operators
nnx.export_model(model, sys.argv[1], formats=("onnx",), labels="abcde")
"""


@pytest.mark.multiprocess
@pytest.mark.slow
def test_two_processes_write_the_same_onnx(tmp_path):
    contents = []
    for turn in (1, 3):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, str(tmp_path / str(turn)), str(turn)],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONHASHSEED": str(turn)},
            timeout=240,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        contents.append((tmp_path / str(turn) / "model.onnx").read_bytes())
    assert contents[0] == contents[1]
    names = [node.name for node in onnx.load(tmp_path / "1" / "model.onnx").graph.node]
    assert any(name.startswith("model/attention/") for name in names)
    assert len(set(names)) == len(names)
