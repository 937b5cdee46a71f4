"""Dates in words: forms that say what they mean, dates that are held out, baselines, and the program itself."""

import datetime
import re

import numpy as np
import pytest
from PIL import Image

import keras_nnx as nnx


@pytest.mark.parametrize(
    ("day", "number", "words"),
    [
        (1, "1st", "first"),
        (2, "2nd", "second"),
        (3, "3rd", "third"),
        (5, "5th", "fifth"),
        (8, "8th", "eighth"),
        (9, "9th", "ninth"),
        (11, "11th", "eleventh"),
        (12, "12th", "twelfth"),
        (13, "13th", "thirteenth"),
        (20, "20th", "twentieth"),
        (22, "22nd", "twenty-second"),
        (30, "30th", "thirtieth"),
        (31, "31st", "thirty-first"),
    ],
)
def test_days_in_words(read_dates, day, number, words):
    assert read_dates.ordinal(day) == number
    assert read_dates.ordinal_in_words(day) == words


@pytest.mark.parametrize(
    ("year", "words"),
    [
        (1900, {"nineteen hundred"}),
        (1905, {"nineteen oh five", "nineteen hundred and five"}),
        (1999, {"nineteen ninety-nine", "nineteen hundred and ninety-nine"}),
        (2000, {"two thousand"}),
        (2007, {"twenty oh seven", "two thousand and seven"}),
        (2040, {"twenty forty", "two thousand and forty"}),
    ],
)
def test_years_in_words(read_dates, year, words):
    random = np.random.default_rng(0)
    assert {read_dates.year_in_words(year, random) for _ in range(20)} == words


def test_no_text_tells_two_dates(read_dates):
    random, seen = np.random.default_rng(0), {}
    for day in range(0, read_dates.DAYS, 16):
        date = read_dates.FIRST + datetime.timedelta(days=day)
        for form in read_dates.FORMS:
            assert seen.setdefault(read_dates.write_out(date, form, random), date) == date
    assert date.year == 2099


def test_dates_of_the_test_are_in_no_text_to_train_on(read_dates):
    texts, dates, unseen, truth = read_dates.make_texts(3000, 50, seed=1)
    assert len(texts) == len(dates) == len(set(dates)) == 3000
    assert not set(dates) & set(truth)
    assert len(unseen) == len(truth) == 50 * len(read_dates.FORMS)
    assert len(set(truth)) == 50
    assert (texts, dates, unseen, truth) == read_dates.make_texts(3000, 50, seed=1)
    assert truth != read_dates.make_texts(3000, 50, seed=2)[3]


def test_letters_become_tokens_and_back(read_dates):
    tokens = read_dates.encode(["3 Mar", "é"], read_dates.SOURCE)
    assert tokens.dtype == np.int32
    assert [read_dates.SOURCE[token - 1] for token in tokens[0]] == list("3 mar")
    np.testing.assert_array_equal(tokens[1], [1, 0, 0, 0, 0])
    assert read_dates.decode(read_dates.encode(["1999-03-03"], read_dates.TARGET)) == ["1999-03-03"]
    assert read_dates.decode(np.array([[0, 1, read_dates.START]])) == ["?-?"]


def test_rules_read_numbers_and_give_up_on_words(read_dates):
    texts = ["march 3rd, 1999", "3 mar 1999", "the third of march, nineteen ninety-nine"]
    assert read_dates.read_by_rules(texts) == ["1999-03-03", "1999-03-03", ""]


def test_counts_of_letters_read_what_they_saw(read_dates):
    texts, dates, _, _ = read_dates.make_texts(500, 1, seed=1)
    assert read_dates.read_by_counts(texts, dates, texts[:20]) == dates[:20]


def test_a_word_is_struck_out_as_a_whole(read_dates):
    def reader(texts):
        return ["1999-03-03" if "mar" in text else "1999-01-03" for text in texts]

    changed = read_dates.struck_out(reader, "3 mar 1999")
    assert changed.shape == (10, 10)
    assert changed.sum() == 3
    assert changed[6, 2:5].all()


@pytest.mark.parametrize(
    "arguments", [["--epochs", "0"], ["--texts", "3"], ["--texts", "73000"], ["--seed", "x"], ["--forms", "9"]]
)
def test_wrong_usage_is_2(read_dates, arguments, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["read_dates.py", *arguments])
    with pytest.raises(SystemExit) as stop:
        read_dates.main()
    assert stop.value.code == 2
    assert arguments[0] in capsys.readouterr().err


def test_finish_fails_where_a_baseline_is_as_good(read_dates, capsys):
    right = {"ONNX": np.array([True, True]), "rules": np.array([True, False]), "counts": np.array([False, False])}
    read_dates.finish(right)
    assert "ONNX: 100.0%; rules: 50.0%; counts: 0.0% of 2 texts, exactly" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="not better than the baselines"):
        read_dates.finish({**right, "ONNX": np.array([False, True])})


@pytest.mark.slow
@pytest.mark.multiprocess
@pytest.mark.timeout(600)
def test_a_short_run_beats_the_baselines(run_example):
    finished, out = run_example("read_dates", "--epochs", 4)
    assert finished.returncode == 0, finished.stderr
    found = re.search(r"ONNX: ([\d.]+)%; linear .*: ([\d.]+)%; dateutil: ([\d.]+)% of 800 texts", finished.stdout)
    ours, counts, rules = map(float, found.groups())
    assert ours > counts + 3 > rules
    assert len(re.findall(r" -> \d{4}-\d\d-\d\d$", finished.stdout, re.MULTILINE)) == 8
    verified = nnx.verify_export(out / "export")
    assert verified.proven
    assert set(verified.artifacts) == {"saved_model", "onnx", "tflite"}
    assert len(verified.metadata["source_letters"]) == 39
    with Image.open(out / "dates.png") as picture:
        assert min(picture.size) > 400
        assert len(picture.convert("RGB").getcolors(1 << 20)) > 12
