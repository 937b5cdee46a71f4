"""Digits row by row: baselines that see as many rows, a step model fed right, and the program itself."""

import re

import keras
import numpy as np
import pytest
from PIL import Image

import keras_nnx as nnx


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TFDS_DATA_DIR", str(tmp_path_factory.mktemp("tfds")))
        yield nnx.data.load("digits", augment="none", seed=1)


def test_rows_are_those_of_the_pictures(read_digits_by_row, data):
    pictures, labels = read_digits_by_row.load_rows(data, "test")
    assert pictures.shape == (270, 8, 8)
    assert labels.shape == (270,)
    assert pictures.max() == 255
    np.testing.assert_array_equal(read_digits_by_row.flat(pictures, 3), pictures[:, :3].reshape(270, 24) / 255)


def test_baselines_see_as_many_rows(read_digits_by_row):
    random = np.random.default_rng(0)
    labels = np.arange(40) % 2
    pictures = random.integers(0, 256, (40, 3, 4)).astype("float32")
    pictures[:, 1] = 255 * labels[:, None]
    right = read_digits_by_row.baselines((pictures[:20], labels[:20]), (pictures[20:], labels[20:]))
    assert set(right) == {"logistic regression", "nearest neighbour"}
    for shares in right.values():
        assert shares.shape == (3,)
        assert shares[0] < 0.9
        assert shares[1] == 1


def test_fed_row_by_row_it_answers_what_the_model_answers(read_digits_by_row, data, tmp_path):
    keras.utils.set_random_seed(1)
    classifier = nnx.models.SequenceClassifier((None, 8), 10, units=(5,), cell="gru", pooling=None)
    model = read_digits_by_row.deployable(classifier, data)
    pictures, _ = read_digits_by_row.load_rows(data, "test")
    report = nnx.export_streaming(model, tmp_path / "step", formats=("onnx",))
    states = report.metadata["streaming"]["states"]
    scores = read_digits_by_row.feed(report.artifacts["onnx"].path, states, pictures[:6])
    np.testing.assert_allclose(scores, model(pictures[:6]), atol=1e-5)
    normalised = data.normalization()(pictures[:6, ..., None])[..., 0]
    np.testing.assert_allclose(scores, classifier(normalised), atol=1e-5)


@pytest.mark.parametrize("arguments", [["--epochs", "0"], ["--seed", "x"], ["--rows", "9"]])
def test_wrong_usage_is_2(read_digits_by_row, arguments, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["read_digits_by_row.py", *arguments])
    with pytest.raises(SystemExit) as stop:
        read_digits_by_row.main()
    assert stop.value.code == 2
    assert arguments[0] in capsys.readouterr().err


def test_finish_fails_where_logistic_regression_is_as_good(read_digits_by_row, capsys):
    right = {"ONNX": np.array([0.1, 0.9]), "logistic regression": np.array([0.5, 0.8])}
    read_digits_by_row.finish(right, np.array([0, 1, 1, 2]))
    printed = capsys.readouterr().out
    assert "ONNX: 10.0% 90.0%\nlogistic regression: 50.0% 80.0%\nthe majority class: 50.0%" in printed
    with pytest.raises(SystemExit, match="not better than logistic regression"):
        read_digits_by_row.finish({**right, "ONNX": np.array([0.9, 0.8])}, np.array([0, 1]))


@pytest.mark.slow
@pytest.mark.multiprocess
@pytest.mark.timeout(600)
def test_a_short_run_beats_logistic_regression(run_example):
    finished, out = run_example("read_digits_by_row", "--epochs", 12)
    assert finished.returncode == 0, finished.stderr
    ours, baseline, nearest = (
        [float(share) for share in re.findall(r"([\d.]+)%", line)]
        for line in re.findall(r"^(?:ONNX|logistic regression|nearest neighbour): .*$", finished.stdout, re.MULTILINE)
    )
    assert len(ours) == len(baseline) == len(nearest) == 8
    assert ours[-1] > baseline[-1] > 90
    assert ours[-1] > ours[3] + 3 > ours[0] + 20
    verified = nnx.verify_export(out / "streaming")
    assert verified.proven
    assert set(verified.artifacts) == {"saved_model", "onnx", "tflite"}
    with Image.open(out / "rows.png") as picture:
        assert min(picture.size) > 400
        assert len(picture.convert("RGB").getcolors(1 << 20)) > 12
