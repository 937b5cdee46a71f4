"""The same weights give the same bytes, in whatever process."""

import json
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



class Steps(keras.layers.Layer):
    def __init__(self, **options):
        super().__init__(**options)
        self.step = keras.layers.Dense(8, name="step")

    def build(self, shape):
        self.step.build(shape)

    def call(self, x):
        def body(i, a, b, c):
            h = keras.ops.tanh(self.step(a) + b)
            return i + 1, h, h, h * c

        _, a, b, c = keras.ops.while_loop(lambda i, *_: i < 4, body, (0, x, x * 0, x))
        return a + b + c


keras.utils.set_random_seed(1)
rows = keras.Input((None, 8), name="rows")
codes = keras.Input((None,), name="codes", dtype="int64")
x = keras.layers.LayerNormalization(name="norm")(rows)
x = keras.layers.MultiHeadAttention(2, 4, name="attention")(x, x)
x = keras.layers.MultiHeadAttention(2, 4, kernel_initializer="ones", name="equal_kernels")(x, x)
x = keras.layers.Conv1D(8, 3, padding="same", name="convolution")(x)
x = Steps(name="steps")(x)
x = x + keras.layers.Embedding(6, 8)(keras.layers.IntegerLookup(vocabulary=[3, 7, 9], name="table")(codes))
formats = ("saved_model", "onnx", "tflite")
if sys.argv[3] == "recurrent":
    x = keras.layers.GRU(8, return_sequences=True, name="recurrent")(x)
scores = keras.layers.Dense(5, activation="gelu", name="scores")(x)
model = keras.Model({"rows": rows, "codes": codes}, {"scores": scores, "again": scores}, name="model")
for _ in range(int(sys.argv[2])):
    # Keras counts calls in the names of operators, and TensorFlow functions in the process.
    model({"rows": np.zeros((1, 3, 8), "float32"), "codes": np.zeros((1, 3), "int64")})
nnx.export_model(model, sys.argv[1], formats=formats, labels="abcde")
"""


@pytest.mark.multiprocess
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["plain", "recurrent"])
def test_two_processes_write_the_same_files(kind, tmp_path):
    contents = []
    for turn in (1, 3):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, str(tmp_path / str(turn)), str(turn), kind],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONHASHSEED": str(turn)},
            timeout=240,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        contents.append(read_files(tmp_path / str(turn)))
    manifests = [json.loads(content.pop("manifest.json")) for content in contents]
    assert contents[0].keys() == contents[1].keys()
    assert [name for name, content in contents[0].items() if content != contents[1][name]] == []
    assert len(contents[0]) >= 6
    for manifest in manifests:  # what was measured, and what follows from it
        del manifest["digest"]
        for artifact in manifest["artifacts"].values():
            assert artifact.pop("latency_ms")["median"] > 0
    assert manifests[0] == manifests[1]
    names = [node.name for node in onnx.load(tmp_path / "1" / "model.onnx").graph.node]
    assert any(name.startswith("model/attention/") for name in names)
    assert len(set(names)) == len(names)


def read_files(directory):
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}
