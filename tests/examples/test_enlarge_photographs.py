"""Larger photographs: patches that fit their originals, a measure that fits its formula, and the program itself."""

import re

import numpy as np
import pytest
from PIL import Image

import keras_nnx as nnx


def picture_of(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


@pytest.mark.parametrize("factor", [2, 3])
def test_parts_do_not_overlap_and_can_be_shrunk(enlarge_photographs, factor):
    left, right = enlarge_photographs.load_parts(factor)
    assert set(left) == set(right) == {"china", "flower"}
    originals = dict(zip(("china", "flower"), enlarge_photographs.load_sample_images().images, strict=True))
    for name, original in originals.items():
        height, width = left[name].shape[:2]
        np.testing.assert_array_equal(left[name], original[:height, :width])
        assert width <= enlarge_photographs.SPLIT
        height, width = right[name].shape[:2]
        start = enlarge_photographs.SPLIT
        np.testing.assert_array_equal(right[name], original[:height, start : start + width])
        assert not height % factor
        assert not width % factor


def test_psnr_is_its_formula(enlarge_photographs):
    truth, guess = picture_of((40, 30, 3), 0), picture_of((40, 30, 3), 1)
    error = ((truth[5:-5, 5:-5].astype(float) - guess[5:-5, 5:-5].astype(float)) ** 2).mean()
    expected = 20 * np.log10(255) - 10 * np.log10(error)
    assert enlarge_photographs.psnr(truth, guess, border=5) == pytest.approx(expected)
    assert enlarge_photographs.psnr(truth, truth) == np.inf
    guess[:, 8:-8][8:-8] = truth[:, 8:-8][8:-8]
    assert enlarge_photographs.psnr(truth, guess, border=8) == np.inf
    assert enlarge_photographs.psnr(truth, guess, border=0) < np.inf


def test_to_bytes_rounds_and_clips(enlarge_photographs):
    values = enlarge_photographs.to_bytes(np.array([-3.0, 0.4, 0.6, 254.6, 300.0]))
    assert values.tolist() == [0, 0, 1, 255, 255]
    assert values.dtype == np.uint8


def test_patches_are_pairs_of_one_place(enlarge_photographs):
    rows, columns = np.mgrid[:144, :192]
    smooth = np.stack([rows, columns, (rows + columns) // 2], axis=-1).astype(np.uint8)
    small, large = enlarge_photographs.cut_patches({"ramp": smooth}, 2, count=16, seed=0)
    assert small.shape == (16, 24, 24, 3)
    assert large.shape == (16, 48, 48, 3)
    means = large.reshape(16, 24, 2, 24, 2, 3).mean(axis=(2, 4))
    assert np.abs(means - small)[:, 4:-4, 4:-4].max() <= 2
    again = enlarge_photographs.cut_patches({"ramp": smooth}, 2, count=16, seed=0)
    np.testing.assert_array_equal(again[1], large)


@pytest.mark.parametrize("factor", [2, 3])
def test_an_untrained_network_repeats_pixels_of_any_size(enlarge_photographs, factor):
    network = enlarge_photographs.build_network(factor)
    picture = picture_of((1, 5, 7, 3)).astype("float32") / 255
    expected = picture.repeat(factor, axis=1).repeat(factor, axis=2)
    np.testing.assert_allclose(np.asarray(network(picture)), expected, atol=1e-6)


def test_the_hardest_window_holds_the_largest_error(enlarge_photographs):
    truth = np.zeros((60, 80, 3), np.uint8)
    guess = truth.copy()
    guess[30:34, 50:54] = 9
    guess[0, 0] = 255  # on the border, which does not count
    rows, columns = enlarge_photographs.hardest_window(truth, guess, 10)
    assert rows.stop - rows.start == columns.stop - columns.start == 10
    assert (guess[rows, columns] == 9).sum() == 4 * 4 * 3


@pytest.mark.parametrize("arguments", [["--factor", "5"], ["--epochs", "0"], ["--patches", "few"], ["--zoom", "2"]])
def test_wrong_usage_is_2(enlarge_photographs, arguments, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["enlarge_photographs.py", *arguments])
    with pytest.raises(SystemExit) as stop:
        enlarge_photographs.main()
    assert stop.value.code == 2
    assert arguments[0] in capsys.readouterr().err


def test_finish_fails_where_bicubic_is_as_good(enlarge_photographs, capsys):
    truth = picture_of((40, 40, 3))
    near, far = truth ^ 1, truth ^ 4
    enlarge_photographs.finish({"one": {"original": truth, "ours, ONNX": near, "bicubic": far}})
    assert "gained +12.04 dB" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="over bicubic"):
        enlarge_photographs.finish({"one": {"original": truth, "ours, ONNX": far, "bicubic": far}})


@pytest.mark.slow
@pytest.mark.multiprocess
def test_a_model_that_saw_too_little_leaves_its_files_and_exits_with_1(run_example):
    finished, out = run_example("enlarge_photographs", "--factor", 3, "--epochs", 1, "--patches", 16)
    assert finished.returncode == 1, finished.stderr
    assert "over bicubic" in finished.stderr
    check(finished, out)


@pytest.mark.slow
@pytest.mark.multiprocess
@pytest.mark.minutes
@pytest.mark.timeout(600)
def test_the_default_run_beats_bicubic(run_example):
    finished, out = run_example("enlarge_photographs")
    assert finished.returncode == 0, finished.stderr
    check(finished, out)


def check(finished, out):
    for name in ("china", "flower"):
        assert re.search(rf"{name}: \d+\.\d\d dB PSNR; bicubic \d+\.\d\d dB; gained [+-]\d", finished.stdout)
    verified = nnx.verify_export(out / "export")
    assert set(verified.artifacts) == {"saved_model", "onnx", "tflite"}
    *sides, channels = verified.signature.inputs[0].shape
    assert channels == 3
    assert not any(isinstance(side, int) for side in sides)
    with Image.open(out / "enlarged.png") as picture:
        assert min(picture.size) > 400
        assert len(picture.convert("RGB").getcolors(1 << 22)) > 1000
