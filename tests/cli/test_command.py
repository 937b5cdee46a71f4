import json
import os
import re
import signal
import subprocess
import sys
import time
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf
from typer.testing import CliRunner

from keras_nnx.cli.main import app, main, refusal

COMMANDS = ("demo", "export", "verify", "benchmark", "doctor")


@pytest.fixture
def saved_model_file(tmp_path):
    model = keras.Sequential([keras.Input((4,), name="x"), keras.layers.Dense(3, activation="softmax", name="scores")])
    model.save(tmp_path / "model.keras")
    return tmp_path / "model.keras"


def test_help_of_everything_teaches():
    overview = CliRunner().invoke(app, ["--help"])
    assert overview.exit_code == 0
    for command in COMMANDS:
        assert command in overview.output
        shown = CliRunner().invoke(app, [command, "--help"])
        assert shown.exit_code == 0
        assert command == "doctor" or f"keras-nnx {command}" in shown.output


def test_no_command_shows_help_and_is_wrong_usage(capsys):
    assert main([]) == 2
    assert "Usage" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["demo", "--epochs", "0"], "--epochs"),
        (["demo", "--epochs", "-1"], "--epochs"),
        (["demo", "--epochs", "many"], "--epochs"),
        (["demo", "--model", "resent"], "resnet"),
        (["demo", "--seed", "-1"], "--seed"),
        (["demo", "--nonsense"], "--nonsense"),
        (["dem"], "demo"),
        (["export"], "model"),
        (["benchmark", "x", "--threads", "0"], "--threads"),
    ],
)
def test_wrong_usage_is_one_line_and_2(arguments, word, capsys):
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert re.search(word, printed.err, re.IGNORECASE)
    assert len(printed.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["verify", "nowhere"], "no export directory"),
        (["benchmark", "nowhere"], "no export directory"),
        (["export", "nowhere.keras", "out"], "nowhere.keras"),
        (["demo", "--out", "full"], "not empty"),
        (["demo", "--out", "full", "--overwrite"], "did not write"),
        (["demo", "--out", "full/file/inside"], "cannot be written"),
    ],
)
def test_refusals_are_one_line_and_1(arguments, word, capsys, tmp_path, monkeypatch):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("")
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 1
    printed = capsys.readouterr().err
    assert word in printed
    assert len(printed.splitlines()) == 1
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "full"]


def test_a_file_that_is_no_model_is_refused(tmp_path, capsys):
    (tmp_path / "model.keras").write_bytes(b"nothing")
    assert main(["export", str(tmp_path / "model.keras"), str(tmp_path / "out")]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_damaged_model_file_is_refused(saved_model_file, tmp_path, capsys):
    content = bytearray(saved_model_file.read_bytes())
    content[len(content) // 2] ^= 255
    (tmp_path / "flipped.keras").write_bytes(content)
    for name, files in (("empty", {}), ("list", {"config.json": "[]"}), ("text", {"config.json": "x"})):
        with zipfile.ZipFile(tmp_path / f"{name}.keras", "w") as archive:
            for inner, text in {"readme": "", **files}.items():
                archive.writestr(inner, text)
    for name in ("flipped", "empty", "list", "text"):
        assert main(["export", str(tmp_path / f"{name}.keras"), str(tmp_path / "out")]) == 1
        printed = capsys.readouterr().err
        assert f"{name}.keras cannot be loaded" in printed
        assert len(printed.splitlines()) == 1
    (tmp_path / "labels").write_bytes(b"\xff\xfe\x00")
    assert main(["export", str(saved_model_file), str(tmp_path / "out"), "--labels", str(tmp_path / "labels")]) == 1
    assert "labels is no text file" in capsys.readouterr().err


@pytest.mark.multiprocess
@pytest.mark.parametrize(
    ("environment", "closed", "word"),
    [({"KERAS_BACKEND": "nonsense"}, False, "nonsense"), ({}, True, "")],
    ids=["an unknown backend", "standard error closed"],
)
def test_odd_surroundings(environment, closed, word, saved_model_file, tmp_path):
    command = [sys.executable, "-m", "keras_nnx", "export", str(saved_model_file), str(tmp_path / "out")]
    command += ["--format", "onnx"]
    done = subprocess.run(
        ["sh", "-c", '"$@" 2>&-' if closed else '"$@"', "sh", *command],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        timeout=180,
    )
    assert done.returncode == (0 if closed else 1)
    assert word in done.stderr
    assert "Traceback" not in done.stderr


def test_labels_without_a_last_line_break_and_damaged_calibration(saved_model_file, tmp_path, capsys):
    (tmp_path / "labels.txt").write_text("a\nb\nc")
    (tmp_path / "bad.npz").write_bytes(b"PK\x03\x04 nothing")
    (tmp_path / "bad.npy").write_bytes(b"nothing")
    command = ["export", str(saved_model_file), str(tmp_path / "out"), "--format", "onnx"]
    for name in ("bad.npz", "bad.npy"):
        assert main([*command, "--calibration", str(tmp_path / name)]) == 1
        assert f"{name} is no .npy or .npz file of plain arrays." in capsys.readouterr().err
    assert main([*command, "--labels", str(tmp_path / "labels.txt")]) == 0


def test_code_in_a_model_file_does_not_run(tmp_path, capsys):
    inputs = keras.Input((2,))
    keras.Model(inputs, keras.layers.Lambda(lambda x: x * 2)(inputs)).save(tmp_path / "model.keras")
    assert main(["export", str(tmp_path / "model.keras"), str(tmp_path / "out")]) == 1
    assert "Lambda" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


OWN_LAYERS = """
import keras

@keras.saving.register_keras_serializable(package="own")
class Own(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = keras.layers.Dense(2)

    def call(self, inputs):
        return self.dense(inputs)
"""


def test_a_module_with_the_models_own_layers_is_imported(tmp_path, capsys, monkeypatch):
    (tmp_path / "own_layers_of_the_test.py").write_text(OWN_LAYERS)
    create = "import numpy, own_layers_of_the_test as own; m = own.Own(); m(numpy.ones((2, 3))); m.save('own.keras')"
    subprocess.run([sys.executable, "-c", create], cwd=tmp_path, check=True, timeout=120)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    arguments = ["export", "own.keras", "out", "--format", "onnx"]
    assert main(arguments) == 1
    assert "--import MODULE" in capsys.readouterr().err
    assert main([*arguments, "--import", "of_no_one"]) == 2
    assert "of_no_one" in capsys.readouterr().err
    for line in (arguments, ["check", "own.keras", "--format", "onnx"], ["inspect", "own.keras"]):
        assert main([*line, "--import", "own_layers_of_the_test"]) == 0
    assert (tmp_path / "out" / "model.onnx").exists()


def test_inputs_are_narrowed_on_the_command_line(saved_model_file, tmp_path, capsys):
    def shape(number, *options):
        directory = tmp_path / str(number)
        assert main(["export", str(saved_model_file), str(directory), "--format", "onnx", *options]) == 0
        return json.loads((directory / "manifest.json").read_text())["signature"]["inputs"][0]["shape"]

    assert shape(1, "--input", "x:float32[2, 4]") == [2, 4]
    assert shape(2, "--input", "float32[?,4]") == ["batch", 4]
    assert main(["check", str(saved_model_file), "--format", "onnx", "--input", "x:float32[3,4]"]) == 0
    for wrong, code, word in (("x=4", 2, "NAME:DTYPE"), ("x:floaty[4]", 2, "floaty"), ("x:float32[1,5]", 1, "(1, 5)")):
        capsys.readouterr()
        assert main(["export", str(saved_model_file), str(tmp_path / "no"), "--input", wrong]) == code
        assert word in capsys.readouterr().err


def test_inputs_of_a_model_with_several(tmp_path, capsys):
    x, y = keras.Input((4,), name="x"), keras.Input((None,), name="y")
    keras.Model([x, y], keras.layers.Concatenate()([x, y])).save(tmp_path / "two.keras")
    arguments = ["export", str(tmp_path / "two.keras"), str(tmp_path / "out"), "--format", "onnx", "--input"]
    assert main([*arguments, "z:float32[1,4]"]) == 1
    assert "it has x, y" in capsys.readouterr().err
    assert main([*arguments, "y:float32[batch,7]"]) == 0
    signature = json.loads((tmp_path / "out" / "manifest.json").read_text())["signature"]
    assert [row["shape"] for row in signature["inputs"]] == [["batch", 4], ["batch", 7]]


def test_export_verify_benchmark(saved_model_file, tmp_path, capsys):
    out = str(tmp_path / "out")
    (tmp_path / "labels.txt").write_text("a\nb\nc\n")
    np.save(tmp_path / "samples.npy", np.random.default_rng(0).normal(size=(32, 4)).astype("float32"))
    arguments = ["export", str(saved_model_file), out, "--format", "onnx", "--format", "tflite", "--precision", "int8"]
    arguments += ["--labels", str(tmp_path / "labels.txt"), "--calibration", str(tmp_path / "samples.npy")]
    assert main(arguments) == 0
    assert "TFLite" in capsys.readouterr().out
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["labels"] == ["a", "b", "c"]
    assert main(["verify", out]) == 0
    assert "as the model did" in capsys.readouterr().out
    assert main(["benchmark", out, "--seconds", "0.02"]) == 0
    assert main(["export", str(saved_model_file), out, "--format", "onnx"]) == 1
    assert main(["export", str(saved_model_file), out, "--format", "onnx", "--overwrite"]) == 0


def test_a_step_model(tmp_path, capsys):
    model = keras.Sequential([keras.Input((None, 4)), keras.layers.Conv1D(2, 2, padding="causal", name="memory")])
    model.save(tmp_path / "model.keras")
    arguments = ["export", str(tmp_path / "model.keras"), str(tmp_path / "out"), "--format", "onnx"]
    assert main([*arguments, "--chunk", "4"]) == 2
    assert "needs --streaming" in capsys.readouterr().err
    assert main([*arguments, "--streaming"]) == 0
    assert "ms/step" in capsys.readouterr().out
    assert "memory_state_0" in (tmp_path / "out" / "manifest.json").read_text()


def test_check_says_what_stands_in_the_way(saved_model_file, tmp_path, capsys):
    assert main(["check", str(saved_model_file)]) == 0
    assert "Nothing stands in the way of saved_model, onnx, tflite" in capsys.readouterr().out
    inputs = keras.Input((None, 2))
    keras.Model(inputs, keras.ops.median(inputs, axis=1), name="level").save(tmp_path / "median.keras")
    assert main(["check", str(tmp_path / "median.keras"), "--format", "tflite"]) == 1
    printed = capsys.readouterr()
    assert "level' needs the operator" in printed.out
    assert printed.err == ""


def test_doctor_lists_every_extra(capsys):
    assert main(["doctor"]) == 0
    printed = capsys.readouterr().out
    for word in ("onnxruntime", "keras-tuner", "tensorflow-datasets", "accelerators"):
        assert word in printed


def test_a_defect_keeps_its_traceback():
    assert refusal(KeyError("x")) is None
    assert refusal(OSError(28, "No space left on device", "/x/y")) == "No space left on device (/x/y)."
    full = tf.errors.ResourceExhaustedError(None, None, "{{function_node a}} x; No space left on device [Op:SaveV2]")
    assert refusal(full) == "x; No space left on device"
    assert refusal(ValueError("two\n lines")) == "two lines"


def start(arguments, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "keras_nnx", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options
    )


@pytest.mark.multiprocess
@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_demo_leaves_nothing_and_the_next_succeeds(tmp_path, number):
    environment = {**os.environ, "TFDS_DATA_DIR": str(tmp_path / "tfds"), "PYTHONUNBUFFERED": "1"}
    arguments = ["demo", "--out", str(tmp_path / "demo"), "--epochs"]
    process = start([*arguments, "500"], env=environment, start_new_session=True)
    for line in process.stdout:
        if line.startswith(b"Epoch 2/"):
            break
    process.send_signal(number)
    errors = process.communicate(timeout=60)[1].decode()
    assert not (tmp_path / "demo").exists()
    if number != signal.SIGKILL:
        assert process.returncode == 130
        assert "keras-nnx: interrupted; nothing was written." in errors.splitlines()
        assert "Traceback" not in errors
        assert [path.name for path in tmp_path.iterdir()] == ["tfds"]
        return  # as before the first: only a killed one leaves something for the next to find
    again = start([*arguments, "1"], env=environment)
    printed, errors = again.communicate(timeout=180)
    assert again.returncode == 0, errors.decode()
    assert b"report.html" in printed
    assert sorted(path.name for path in tmp_path.iterdir()) == ["demo", "tfds"]


@pytest.mark.multiprocess
@pytest.mark.slow
def test_a_full_disk_is_one_line(tmp_path):
    """A limit on the size of a file stands in for the full disk: a write ends in the same kind of error."""
    program = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "from keras_nnx.cli import main; import keras_nnx.models; "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000)); sys.exit(main(sys.argv[1:]))"
    )
    environment = {**os.environ, "TFDS_DATA_DIR": str(tmp_path / "tfds")}
    warm = "import keras_nnx as nnx; nnx.data.load('digits')"
    subprocess.run([sys.executable, "-c", warm], check=True, capture_output=True, env=environment, timeout=120)
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", program, "demo", "--epochs", "1", "--out", str(tmp_path / "demo")],
        capture_output=True,
        text=True,
        env=environment,
        timeout=180,
    )
    assert done.returncode == 1, (time.monotonic() - begun, done.stderr[-2000:])
    assert "Traceback" not in done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("keras-nnx: ")]) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["tfds"]
