"""A year of carbon dioxide ahead: windows, changes and baselines that fit their words, and the program itself."""

import re

import keras
import numpy as np
import pytest
from PIL import Image

import keras_nnx as nnx

FORMATS = {"saved_model", "onnx", "tflite"}


@pytest.fixture(scope="module")
def months(forecast_co2):
    return forecast_co2.load_months()


def test_every_month_has_a_value_and_none_is_twice(months):
    names, values = months
    assert names[0] == np.datetime64("1958-03")
    assert names[-1] == np.datetime64("2001-12")
    assert (np.diff(names).astype(int) == 1).all()
    assert values.shape == names.shape
    assert ((values > 310) & (values < 375)).all()


def test_the_year_follows_what_is_read(forecast_co2):
    series = np.arange(200, dtype="float32")
    before, after = forecast_co2.windows(series, np.array([60, 101]))
    assert before.shape == (2, 60, 1)
    np.testing.assert_array_equal(before[:, -1, 0], [59, 100])
    np.testing.assert_array_equal(after[1, :, 0], np.arange(101, 113))


def test_changes_are_of_one_year_and_come_back(forecast_co2, months):
    series = months[1]
    changes = forecast_co2.YearlyChanges(series)
    ppm, told = keras.Input((None, 1)), keras.Input((12, 1, 2))
    read = keras.Model(ppm, changes.read(ppm))(series[None, :, None])[0, :, 0]
    expected = (series[12:] - series[:-12] - changes.mean) / changes.scale
    np.testing.assert_allclose(read[12:], expected.clip(-4, 4), atol=1e-3)
    assert abs(expected).max() < 4
    assert (np.asarray(read[:12]) == 4).all()
    following = np.stack([expected[-12:], expected[-12:] + 1], axis=-1)[None, :, None]
    back = keras.Model((ppm, told), changes.tell(ppm, told))([series[None, :-12, None], following])
    np.testing.assert_allclose(back[0, :, 0, 0], series[-12:], atol=1e-3)
    np.testing.assert_allclose(back[0, :, 0, 1], series[-12:] + changes.scale, atol=1e-3)


def test_baselines_repeat_a_season_and_its_rise(forecast_co2):
    season = np.tile(np.random.default_rng(0).random(12), 6)
    series = season + 0.25 * np.arange(72)
    before, after = forecast_co2.windows(series, np.array([60]))
    told = forecast_co2.baselines(before)
    np.testing.assert_allclose(after - told["seasonal-naive"], 3)
    np.testing.assert_allclose(told["seasonal-naive with drift"], after)


@pytest.mark.parametrize("arguments", [["--epochs", "0"], ["--seed", "x"], ["--horizon", "9"]])
def test_wrong_usage_is_2(forecast_co2, arguments, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["forecast_co2.py", *arguments])
    with pytest.raises(SystemExit) as stop:
        forecast_co2.main()
    assert stop.value.code == 2
    assert arguments[0] in capsys.readouterr().err


def test_without_statsmodels_the_command_is_named(forecast_co2, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "statsmodels.datasets", None)
    with pytest.raises(ImportError, match="pip install statsmodels"):
        forecast_co2.load_months()


def test_finish_tells_errors_and_coverage_and_fails_where_the_baseline_is_as_good(forecast_co2, capsys):
    truth = np.zeros((1, 12, 1), "float32")
    quantiles = truth[..., None] + np.array([-1, 0.5, 1], "float32")
    quantiles[0, :3] += 2
    told = {"ONNX": quantiles, "seasonal-naive": truth + 2, "seasonal-naive with drift": truth - 0.25}
    forecast_co2.finish(truth, told, quantiles + 1)
    printed = capsys.readouterr().out
    assert "ONNX 1.000; seasonal-naive 2.000; seasonal-naive with drift 0.250; ONNX, fed" in printed
    assert "from 1958 2.000" in printed
    assert "quantiles 0.1 and 0.9: 75.0%" in printed
    with pytest.raises(SystemExit, match="not better than seasonal-naive"):
        forecast_co2.finish(truth, {**told, "seasonal-naive": truth + 1}, quantiles)


@pytest.mark.slow
@pytest.mark.multiprocess
@pytest.mark.timeout(600)
def test_a_short_run_beats_seasonal_naive(run_example):
    finished, out = run_example("forecast_co2", "--epochs", 8)
    assert finished.returncode == 0, finished.stderr
    found = re.search(r"ONNX (\d\.\d+); seasonal-naive (\d\.\d+); .* from 1958 (\d\.\d+)", finished.stdout)
    ours, baseline, fed = map(float, found.groups())
    assert ours < 0.6 * baseline
    assert abs(fed - ours) < 0.1 * ours
    assert 30 < float(re.search(r"between the quantiles 0.1 and 0.9: (\d+\.\d)%", finished.stdout)[1]) < 100
    for folder in ("export", "streaming"):
        verified = nnx.verify_export(out / folder)
        assert verified.proven
        assert set(verified.artifacts) == FORMATS
    with Image.open(out / "forecast.png") as picture:
        assert min(picture.size) > 400
        assert len(picture.convert("RGB").getcolors(1 << 20)) > 12
