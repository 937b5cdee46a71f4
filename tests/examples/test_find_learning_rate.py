"""A sweep, three trainings, and the artifact of one of them."""

import re

import pytest
from PIL import Image

import keras_nnx as nnx

FORMATS = ("saved_model", "onnx", "tflite")


@pytest.mark.parametrize("arguments", [["--epochs", "0"], ["--seed", "-1"], ["--rates", "9"]])
def test_wrong_usage_is_2(find_learning_rate, arguments, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["find_learning_rate.py", *arguments])
    with pytest.raises(SystemExit) as stop:
        find_learning_rate.main()
    assert stop.value.code == 2
    assert arguments[0] in capsys.readouterr().err


def test_finish_fails_where_both_others_are_better(find_learning_rate, capsys):
    find_learning_rate.finish(0.9, {"a thirtieth of it": 0.8, "thirty times as much": 0.95})
    assert "90.0% of the test digits" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="worse than both others"):
        find_learning_rate.finish(0.92, {"a thirtieth of it": 0.96, "thirty times as much": 0.95})
    with pytest.raises(SystemExit, match="under 90%"):
        find_learning_rate.finish(0.1, {"a thirtieth of it": 0.1, "thirty times as much": 0.1})


def test_a_picture_has_every_training(find_learning_rate, tmp_path):
    find_learning_rate.draw(tmp_path / "rates.png", {"one": [3.0, 2.0], "two": [1.0, 0.5]})
    with Image.open(tmp_path / "rates.png") as picture:
        assert len(picture.convert("RGB").getcolors(1 << 20)) > 12


@pytest.mark.slow
@pytest.mark.multiprocess
@pytest.mark.minutes
@pytest.mark.timeout(600)
def test_the_default_run_is_better_than_a_far_lower_rate(run_example):
    finished, out = run_example("find_learning_rate")
    assert finished.returncode == 0, finished.stderr
    reached = float(re.search(r"ONNX, trained to the suggested rate: ([\d.]+)%", finished.stdout)[1])
    lower, higher = (float(value) for value in re.findall(r"(?:of it|as much): ([\d.]+)%", finished.stdout))
    assert reached > 90
    assert reached > max(lower, higher) - 2
    assert set(nnx.verify_export(out / "export").artifacts) == set(FORMATS)
    for name in ("sweep.png", "rates.png"):
        with Image.open(out / name) as picture:
            assert min(picture.size) > 400
