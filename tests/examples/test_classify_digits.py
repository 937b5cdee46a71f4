"""Digits and their classes: a confusion matrix that counts, pictures worth a look, and the program itself."""

import re

import numpy as np
import pytest
from PIL import Image

import keras_nnx as nnx


def test_confusion_matrix_counts_every_pair(classify_digits):
    labels, answers = np.random.default_rng(0).integers(0, 4, (2, 100))
    expected = [[((labels == row) & (answers == column)).sum() for column in range(5)] for row in range(5)]
    np.testing.assert_array_equal(classify_digits.confusion_matrix(labels, answers, 5), expected)


@pytest.mark.parametrize("wrong", [0, 3, 30])
def test_wrong_answers_are_shown_first_and_right_ones_too(classify_digits, wrong):
    right = np.random.default_rng(0).permutation(np.arange(60) >= wrong)
    places = classify_digits.choose(right, 12)
    assert len(set(places.tolist())) == 12
    assert (~right[places]).sum() == min(wrong, 6)
    assert (np.diff(right[places].astype(int)) >= 0).all()


@pytest.mark.parametrize("arguments", [["--model", "lenet"], ["--epochs", "0"], ["--seed", "x"], ["--speed", "9"]])
def test_wrong_usage_is_2(classify_digits, arguments, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["classify_digits.py", *arguments])
    with pytest.raises(SystemExit) as stop:
        classify_digits.main()
    assert stop.value.code == 2
    assert arguments[0] in capsys.readouterr().err


def test_finish_fails_where_the_majority_class_is_as_good(classify_digits, capsys):
    labels = np.array([0, 1, 1, 2])
    classify_digits.finish(labels, labels, labels)
    assert "ONNX: 100.0% of 4 test digits; Keras: 100.0%\nthe majority class: 50.0%" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="majority class"):
        classify_digits.finish(labels, np.ones(4, int), labels)


@pytest.mark.slow
@pytest.mark.multiprocess
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("kind", "epochs"), [("resnet", 2), ("vit", 8)])
def test_a_short_run_beats_the_majority_class(run_example, kind, epochs):
    finished, out = run_example("classify_digits", "--model", kind, "--epochs", epochs)
    assert finished.returncode == 0, finished.stderr
    reached = float(re.search(r"ONNX: (\d+\.\d)% of 270 test digits", finished.stdout)[1])
    majority = float(re.search(r"the majority class: (\d+\.\d)%", finished.stdout)[1])
    assert reached > 2 * majority
    assert float(re.search(r"pixel by pixel: (\d+\.\d)%", finished.stdout)[1]) > 90
    verified = nnx.verify_export(out / "export")
    assert set(verified.artifacts) == {"saved_model", "onnx", "tflite"}
    with Image.open(out / "digits.png") as picture:
        assert min(picture.size) > 400
        assert len(picture.convert("RGB").getcolors(1 << 20)) > 12
