"""Digits on textured ground: masks that fit the pixels, a measure that fits its formula, and the program itself."""

import re

import numpy as np
import pytest
from PIL import Image

import keras_nnx as nnx

FORMATS = ("saved_model", "onnx", "tflite")


@pytest.fixture(scope="module")
def digits(segment_digits, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TFDS_DATA_DIR", str(tmp_path_factory.mktemp("tfds")))
        return {split: segment_digits.load_digits(split) for split in ("train", "test")}


def test_no_digit_is_trained_on_and_tested_on(digits):
    train, test = ({picture.tobytes() for picture in digits[split][0]} for split in ("train", "test"))
    assert len(train) > 1000
    assert len(test) > 200
    assert not train & test
    assert set(digits["train"][1]) == set(digits["test"][1]) == set(range(10))


def test_a_mask_is_where_the_ink_is(segment_digits, digits):
    pictures, values = digits["train"]
    scene, mask = np.zeros((32, 32)), np.zeros((32, 32), np.uint8)
    segment_digits.paste(scene, mask, segment_digits.enlarge(pictures[5], 16, 16), values[5], (3, 9), ink=1.0)
    np.testing.assert_array_equal(mask, np.where(scene > 0.5, values[5] + 1, 0))
    assert mask.any()
    rows, columns = np.nonzero(scene)
    assert rows.min() >= 3
    assert rows.max() < 19
    assert columns.min() >= 9
    assert columns.max() < 25


def test_the_later_digit_covers_the_earlier(segment_digits):
    scene, mask = np.zeros((6, 6)), np.zeros((6, 6), np.uint8)
    segment_digits.paste(scene, mask, np.ones((4, 4)), 7, (0, 0), ink=0.25)
    segment_digits.paste(scene, mask, np.ones((4, 4)), 3, (2, 2), ink=0.75)
    np.testing.assert_array_equal(mask == 4, scene == 0.75)
    np.testing.assert_array_equal(mask == 8, scene == 0.25)
    assert (mask == 4).sum() == 16
    assert (mask == 8).sum() == 12


def test_scenes_follow_their_seed(segment_digits, digits):
    first, again, other = (segment_digits.make_scenes(digits["train"], 4, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert (first[0] != other[0]).any()
    assert first[0].shape == (4, 32, 32, 1)
    assert first[0].dtype == np.uint8
    assert first[1].shape == (4, 32, 32)
    assert all(mask.any() for mask in first[1])


@pytest.mark.parametrize("size", [(8, 8), (13, 17), (5, 4)])
def test_enlarge_is_linear_interpolation(segment_digits, size):
    picture = np.random.default_rng(0).random((8, 8))
    places = [np.clip((np.arange(n) + 0.5) * 8 / n - 0.5, 0, 7) for n in size]
    rows = np.stack([np.interp(places[0], np.arange(8), column) for column in picture.T], axis=1)
    expected = np.stack([np.interp(places[1], np.arange(8), row) for row in rows])
    np.testing.assert_allclose(segment_digits.enlarge(picture, *size), expected, atol=1e-12)


def test_intersection_over_union_is_its_formula(segment_digits):
    random = np.random.default_rng(0)
    truth, guess = random.integers(0, 4, (2, 3, 5, 5))
    expected = [
        ((truth == kind) & (guess == kind)).sum() / ((truth == kind) | (guess == kind)).sum() for kind in range(4)
    ]
    found = segment_digits.intersection_over_union(truth, guess, 5)
    np.testing.assert_allclose(found[:4], expected)
    assert np.isnan(found[4])


def test_otsu_separates_what_a_threshold_can(segment_digits):
    ink = np.zeros((8, 8), bool)
    ink[2:5, 3:6] = True
    noise = np.random.default_rng(0).integers(0, 20, (8, 8))
    for light in (True, False):
        scene = np.where(ink == light, 200, 50) + noise
        np.testing.assert_array_equal(segment_digits.ink_by_otsu(scene[..., None].astype(np.uint8)), ink)


def test_regions_of_clean_digits_get_their_names(segment_digits, digits):
    pictures, values = digits["train"]
    inks = np.stack([segment_digits.enlarge(picture, 16, 16) > 0.5 for picture in pictures[:20]])
    named = segment_digits.name_regions(inks, digits["train"])
    right = [(named[index][inks[index]] == values[index] + 1).mean() for index in range(20)]
    assert np.mean(right) > 0.7
    assert (named[~inks] == 0).all()
    assert not segment_digits.name_regions(np.zeros((1, 8, 8), bool), digits["train"]).any()


@pytest.mark.parametrize("arguments", [["--epochs", "0"], ["--scenes", "many"], ["--seed", "-1"], ["--sides", "9"]])
def test_wrong_usage_is_2(segment_digits, arguments, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["segment_digits.py", *arguments])
    with pytest.raises(SystemExit) as stop:
        segment_digits.main()
    assert stop.value.code == 2
    assert arguments[0] in capsys.readouterr().err


def test_finish_fails_where_a_baseline_is_as_good(segment_digits, capsys):
    truth = np.arange(11).repeat(2)[None]
    guess = truth.copy()
    guess[0, -1] = 0
    segment_digits.finish(truth, truth, {"threshold": guess > 0}, guess)
    assert "U-Net 1.000; threshold 0.950" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="not better"):
        segment_digits.finish(truth, guess, {"threshold": guess > 0}, np.zeros_like(truth))


@pytest.mark.slow
@pytest.mark.multiprocess
def test_a_model_that_saw_too_little_leaves_its_files_and_exits_with_1(run_example):
    finished, out = run_example("segment_digits", "--epochs", 1, "--scenes", 16, "--test-scenes", 8)
    assert finished.returncode == 1, finished.stderr
    assert "not better than the baselines" in finished.stderr
    check(finished, out)


@pytest.mark.slow
@pytest.mark.multiprocess
@pytest.mark.minutes
@pytest.mark.timeout(600)
def test_the_default_run_beats_the_baselines(run_example):
    finished, out = run_example("segment_digits")
    assert finished.returncode == 0, finished.stderr
    check(finished, out)


def check(finished, out):
    assert re.search(r"IoU of ink: U-Net \d\.\d+; Otsu's threshold \d\.\d+; tuned threshold \d\.\d+", finished.stdout)
    assert re.search(r"mean IoU .*: U-Net \d\.\d+; .* \d\.\d+", finished.stdout)
    assert set(nnx.verify_export(out / "export").artifacts) == set(FORMATS)
    with Image.open(out / "segmentation.png") as picture:
        assert min(picture.size) > 400
        assert len(picture.convert("RGB").getcolors(1 << 20)) > 12
