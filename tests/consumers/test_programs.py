"""The three programs as an integrator runs them: in a process that has their runtime and nothing else."""

import numpy as np
import pytest
from PIL import Image

import keras_nnx as nnx

LABELS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
ARTIFACTS = {"saved_model": "saved_model", "onnx": "model.onnx", "tflite": "model.tflite"}
RUNTIMES = {"saved_model": "tensorflow", "onnx": "onnxruntime", "tflite": "ai-edge-litert"}
targets = pytest.mark.parametrize("target", ARTIFACTS)
pytestmark = pytest.mark.multiprocess


def save(folder, *arrays):
    paths = [folder / f"picture_{index}.png" for index in range(len(arrays))]
    for path, array in zip(paths, arrays, strict=True):
        Image.fromarray(array).save(path)
    return paths


def pixels(*shape, seed=0):
    return np.random.RandomState(seed).randint(0, 256, shape).astype(np.uint8)


def answers(result):
    """Return [(file, [(label, score), ...]), ...] of what a program printed."""
    assert result.returncode == 0, result.stderr
    rows = [line.rsplit(": ", 1) for line in result.stdout.splitlines()]
    return [(path, [(p.split()[0], float(p.split()[1])) for p in row.split(", ")]) for path, row in rows]


def run_directly(target, path, batch):
    """Return the scores of an artifact, by its runtime in this process."""
    if target == "onnx":
        import onnxruntime

        return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {"image": batch})[0]
    if target == "tflite":
        from ai_edge_litert.interpreter import Interpreter

        return Interpreter(str(path)).get_signature_runner("serving_default")(image=batch)["scores"]
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))
    return loaded.signatures["serving_default"](image=tf.constant(batch))["scores"].numpy()


def refusal(result):
    """Return the one line of a refusal."""
    assert (result.returncode, result.stdout) == (1, ""), result.stderr
    (line,) = result.stderr.splitlines()
    return line


@pytest.fixture
def digit(tmp_path):
    return save(tmp_path, pixels(8, 8))[0]


@pytest.mark.parametrize("environment", ["bare", *RUNTIMES.values()])
def test_an_environment_holds_its_runtime_and_nothing_else(start, environment):
    names = ("keras_nnx", "keras", "tensorflow", "onnxruntime", "ai_edge_litert", "PIL", "tf2onnx", "onnx", "pip")
    code = f"import importlib.util as u; print(*[name for name in {names} if u.find_spec(name)])"
    expected = {
        "bare": [],
        "tensorflow": ["keras", "tensorflow"],
        "onnxruntime": ["onnxruntime"],
        "ai-edge-litert": ["ai_edge_litert"],
    }
    assert start("-c", code, environment=environment).stdout.split() == expected[environment]


def test_all_programs_print_what_the_artifacts_say(exported, run, tmp_path):
    batch = np.stack([pixels(8, 8, 1, seed=seed) for seed in range(6)])
    paths = save(tmp_path, *batch[..., 0])
    printed = {}
    for target, artifact in ARTIFACTS.items():
        result = run(target, exported / artifact, *paths, "--top", 10)
        assert result.stderr == ""
        printed[target] = answers(result)
        scores = run_directly(target, exported / artifact, batch.astype(np.float32))
        assert [path for path, _ in printed[target]] == list(map(str, paths))
        for (_, row), expected in zip(printed[target], scores, strict=True):
            assert row[0][0] == LABELS[expected.argmax()]
            assert [label for label, _ in row] == [LABELS[index] for index in np.argsort(-expected, kind="stable")]
            np.testing.assert_allclose([score for _, score in row], np.sort(expected)[::-1], atol=5.1e-5)
    assert len({row[0][0] for _, row in printed["onnx"]}) > 1
    labels = {target: [[label for label, _ in row] for _, row in rows] for target, rows in printed.items()}
    assert labels["saved_model"] == labels["onnx"] == labels["tflite"]


@targets
def test_fixed_batches_are_filled_up_and_classes_without_labels_are_numbers(exported_rgb_pairs, run, tmp_path, target):
    arrays = [pixels(8, 12, 3, seed=seed) for seed in range(3)]
    artifact = exported_rgb_pairs / ARTIFACTS[target]
    printed = answers(run(target, artifact, *save(tmp_path, *arrays)))
    for (_, row), index in zip(printed, range(3), strict=True):
        expected = run_directly(target, artifact, np.stack([arrays[index]] * 2).astype(np.float32))[0]
        assert row[0][0] == str(expected.argmax())
        assert len(row) == 3


@pytest.mark.parametrize("target", ["onnx", "tflite"])
def test_pictures_keep_their_sizes_where_the_model_takes_any(exported_any_size, run, tmp_path, target):
    arrays = [pixels(9, 14, seed=1), pixels(12, 6, seed=2)]
    artifact = exported_any_size / ARTIFACTS[target]
    result = run(target, artifact, *save(tmp_path, *arrays))
    assert result.stderr == ""
    for (_, row), array in zip(answers(result), arrays, strict=True):
        expected = run_directly(target, artifact, array[None, ..., None].astype(np.float32))[0]
        assert row[0][0] == LABELS[expected.argmax()]


def test_int8_artifacts_run_alike(make_classifier, run, tmp_path):
    batch = np.stack([pixels(8, 8, 1, seed=seed) for seed in range(16)]).astype(np.float32)
    directory = tmp_path / "int8"
    model = make_classifier((8, 8, 1))
    nnx.export_model(
        model, directory, formats=("onnx", "tflite"), precision="int8", calibration=batch, labels=LABELS, verify=False
    )
    paths = save(tmp_path, *batch[:3, ..., 0].astype(np.uint8))
    for target in ("onnx", "tflite"):
        scores = run_directly(target, directory / ARTIFACTS[target], batch[:3])
        printed = answers(run(target, directory / ARTIFACTS[target], *paths))
        assert [row[0][0] for _, row in printed] == [LABELS[index] for index in scores.argmax(axis=1)]


def test_a_resized_colour_picture_is_classified_and_said(exported, run, tmp_path):
    (path,) = save(tmp_path, pixels(16, 24, 3))
    result = run("onnx", exported / "model.onnx", path)
    assert result.stderr == f"{path}: resized from 16x24 to 8x8 (height x width).\n"
    assert answers(result)[0][1][0][0] in LABELS


def test_labels_come_from_the_file_that_is_named(exported, run, digit, tmp_path):
    ten = tmp_path / "ten.txt"
    ten.write_text("".join(f"klasse {index}ß\r\n" for index in range(10)), encoding="utf-8", newline="")
    result = run("onnx", exported / "model.onnx", digit, "--labels", ten, "--top", 99)
    assert sorted(part.rsplit(" ", 1)[0] for part in result.stdout.strip().split(": ", 1)[1].split(", ")) == [
        f"klasse {index}ß" for index in range(10)
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"one\ntwo\n", "There are 2 labels, but the model has 10 classes."),
        (b"\xff\xfe", "cannot be read as labels"),
        (None, "cannot be read as labels"),
    ],
)
def test_unfit_labels_are_refused(exported, run, digit, tmp_path, content, message):
    path = tmp_path / "other.txt"
    if content is not None:
        path.write_bytes(content)
    assert message in refusal(run("onnx", exported / "model.onnx", digit, "--labels", path))


@targets
def test_a_missing_runtime_names_the_command(exported, run, digit, target):
    line = refusal(run(target, exported / ARTIFACTS[target], digit, environment="bare"))
    assert line.endswith(f"pip install {RUNTIMES[target]}")


@targets
def test_a_missing_artifact_is_refused(run, digit, tmp_path, target):
    path = tmp_path / "missing"
    assert refusal(run(target, path, digit, environment="bare")) == f"{path} does not exist."


@targets
def test_the_directory_around_the_artifact_names_it(exported, run, digit, target):
    answer = refusal(run(target, exported, digit, environment="bare"))
    assert answer.startswith(f"{exported} is a directory, but no SavedModel: name ")
    assert str(exported / ARTIFACTS[target]) in answer


@targets
def test_a_damaged_artifact_is_refused(run, digit, tmp_path, target):
    path = tmp_path / "damaged"
    if target == "saved_model":
        path.mkdir()
        (path / "saved_model.pb").write_bytes(b"not a protocol buffer")
    else:
        path.write_bytes(b"not a model")
    assert str(path) in refusal(run(target, path, digit))


@targets
def test_a_model_of_something_else_is_refused(exported_table, run, digit, target):
    artifact = exported_table / ARTIFACTS[target]
    assert refusal(run(target, artifact, digit)) == (
        f"{artifact} is no image classifier: it takes row: float32[?, 4] and gives scores: float32[?, 10], not "
        f"pixels[batch, height, width, 1 or 3] and scores[batch, classes]."
    )


def test_an_unreadable_picture_is_refused_before_any_answer(exported, run, digit, tmp_path):
    damaged = tmp_path / "damaged.png"
    damaged.write_bytes(digit.read_bytes()[:-20])
    line = refusal(run("onnx", exported / "model.onnx", digit, damaged))
    assert line == f"{damaged} cannot be used: its PNG data ends early."


def test_a_kind_that_needs_pillow_is_refused_where_there_is_none(exported, run, tmp_path):
    path = tmp_path / "picture.jpg"
    Image.fromarray(pixels(8, 8)).save(path)
    assert refusal(run("onnx", exported / "model.onnx", path)).endswith("convert it to PNG, or pip install pillow.")


def test_a_picture_that_the_model_cannot_take_is_refused(exported_any_size, run, tmp_path):
    (path,) = save(tmp_path, pixels(1, 1))
    assert "did not run on image: float32[1, 1, 1, 1]" in refusal(run("onnx", exported_any_size / "model.onnx", path))


def test_the_runtime_speaks_when_asked(exported, run, digit):
    assert "XNNPACK" in run("tflite", exported / "model.tflite", digit, "--verbose").stderr


@targets
def test_help_teaches_on_a_bare_machine(run, target):
    result = run(target, "--help", environment="bare")
    assert (result.returncode, result.stderr) == (0, "")
    assert f"pip install {RUNTIMES[target]}" in result.stdout
    assert f"python run_{target}.py build/demo/float32/{ARTIFACTS[target]} digit_7.png" in result.stdout


@pytest.mark.parametrize("arguments", [(), ("model.onnx",), ("model.onnx", "a.png", "--top", "0"), ("--wrong",)])
def test_wrong_usage(run, arguments):
    result = run("onnx", *arguments, environment="bare")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("usage: run_onnx.py")
