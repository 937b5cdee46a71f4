"""A search under a bound that the first guess sets, and what counts as found."""

import re

import pytest

import keras_nnx as nnx


@pytest.fixture(scope="module")
def search_for_a_phone():
    from tests.examples.conftest import load_example

    return load_example("search_for_a_phone")


@pytest.mark.parametrize("arguments", [["--epochs", "0"], ["--trials", "none"], ["--workers", "-1"]])
def test_wrong_usage_is_2(search_for_a_phone, arguments, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["search_for_a_phone.py", *arguments])
    with pytest.raises(SystemExit) as stop:
        search_for_a_phone.main()
    assert stop.value.code == 2
    assert arguments[0] in capsys.readouterr().err


def test_finish_fails_for_what_is_slow_or_wrong(search_for_a_phone, capsys):
    search_for_a_phone.finish(0.1, (0.2, 0.95), (0.09, 0.945))
    assert "winner:      0.090 ms, 94.5%" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="too slow"):
        search_for_a_phone.finish(0.1, (0.2, 0.95), (0.11, 0.99))
    with pytest.raises(SystemExit, match="less accurate"):
        search_for_a_phone.finish(0.1, (0.2, 0.95), (0.09, 0.93))


def test_the_first_guess_builds(search_for_a_phone):
    import keras_tuner

    model = search_for_a_phone.space((8, 8, 1), 10).build(keras_tuner.HyperParameters())
    assert model.output_shape == (None, 10)


@pytest.mark.slow
@pytest.mark.multiprocess
@pytest.mark.timeout(600)
def test_a_short_run(run_example):
    """Few trials of few epochs: the winner keeps the bound, whatever its accuracy."""
    finished, out = run_example("search_for_a_phone", "--trials", "2", "--epochs", "1", "--workers", "1", "--seed", "1")
    bound = float(re.search(r"of at most ([\d.]+) ms", finished.stdout)[1])
    result = nnx.tuning.load_search(out / "search")
    assert len(result.trials) == 2
    assert result.best.measures["latency_ms"] <= bound + 5e-4
    assert nnx.verify_export(out / "search/best/float32").proven
    assert finished.returncode == 0 or "winner" in finished.stdout
