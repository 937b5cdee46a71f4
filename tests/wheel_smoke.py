"""A new user's first minute with the installed wheel; `.ci/run` runs it where the sources are not."""

import pathlib
import shutil
import subprocess
import tempfile

import keras

import keras_nnx as nnx

assert "site-packages" in nnx.__file__, nnx.__file__

with tempfile.TemporaryDirectory() as folder:
    model = nnx.models.ViT((8, 8, 1), classes=3, dim=16, depth=1, num_heads=2)
    path = pathlib.Path(folder, "model.keras")
    model.save(path)
    report = nnx.export_model(keras.models.load_model(path), pathlib.Path(folder, "export"))
    print(report)
    assert report.proven
    assert list(report.artifacts) == ["saved_model", "onnx", "tflite"]
    report.to_html(pathlib.Path(folder, "report.html"))
    command = shutil.which("keras-nnx")
    assert command is not None
    subprocess.run([command, "verify", str(report.directory)], check=True, timeout=300)
    subprocess.run([command, "doctor"], check=True, timeout=300)
print("the wheel works")
