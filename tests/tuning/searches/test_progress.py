"""What a search shows while it runs, and at its end."""

import dataclasses
import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from keras_nnx.tuning.searches import progress
from keras_nnx.tuning.searches.objectives import parse_objective
from keras_nnx.tuning.searches.progress import Progress, best_line, trial_table
from keras_nnx.tuning.searches.result import SearchResult, TrialResult

LONG = {"network/units": 21, "network/activation": "tanh", "training/optimizer": "rmsprop", "training/batch_size": 64}


def trial(number, state="completed", reason="", **measures):
    return TrialResult(f"{number:02d}", state, LONG, measures, reason, 61.0)


def search(*trials, objectives=("val_accuracy", "latency_ms"), **more):
    aims = tuple(parse_objective(text) for text in objectives)
    return SearchResult(Path("out"), {}, aims, (), trials, **more)


def shown(result, width=80):
    console = Console(file=io.StringIO(), width=width)
    console.print(trial_table(result))
    return console.file.getvalue()


MIXED = search(
    trial(0, val_accuracy=0.9, latency_ms=2.0),
    trial(1, "rejected", "the untrained artifact breaks latency_ms<=3", latency_ms=4.0),
    trial(2, val_accuracy=0.8, latency_ms=1.0),
    trial(3, val_accuracy=0.7, latency_ms=1.5),
    trial(4, "running", "training, epoch 34 of 40, val_accuracy 0.9612"),
)


@pytest.mark.parametrize("width", [80, 120, 200])
def test_headings_and_numbers_are_whole_on_any_terminal(width):
    lines = shown(MIXED, width).splitlines()
    assert lines[0].split() == ["trial", "state", "val_accuracy", "latency_ms", "time"]
    assert all(len(line) <= width for line in lines)
    for number, line in enumerate(lines[1:6]):
        assert re.match(rf"0{number}\*? +(completed|rejected|running) ", line)
    assert len(
        {line.index(word) for line in lines[1:6] for word in ("completed", "rejected", "running") if word in line}
    )
    assert "the untrained" in lines[2]
    assert "training, epoch" in lines[5]


def test_stars_are_explained():
    text = shown(MIXED)
    assert [word for word in text.split() if word.endswith("*")] == ["00*", "02*", "*"]
    assert "* the Pareto front" in text
    tie = search(trial(0, val_accuracy=0.9), trial(1, val_accuracy=0.9), objectives=("val_accuracy",))
    text = shown(tie)
    assert [word for word in text.split() if word.endswith("*")] == ["00*", "*"]
    assert "* best" in text
    assert "*" not in shown(search(trial(0, "failed", "boom")))


def test_the_best_is_told_in_full():
    afresh = {"measures": {"latency_ms": 2.5, "size_mb": 0.01}, "notes": []}
    lines = best_line(dataclasses.replace(MIXED, afresh=afresh))
    assert lines[0] == (
        "Best: trial 00, val_accuracy 0.9, latency_ms 2 (units=21, activation=tanh, optimizer=rmsprop, batch_size=64)"
    )
    assert lines[1] == "Its artifacts, measured once more: latency_ms 2.5, size_mb 0.01"
    assert best_line(search()) == []


def test_a_result_is_printed_as_lines():
    assert str(MIXED).splitlines()[1].startswith("trial 01 rejected in 1 min 01 s: the untrained artifact breaks")
    assert repr(MIXED) == "<SearchResult of 5 trials in out: the best is trial 00>"


def test_time_left(monkeypatch):
    """It follows the trials that ended in this session, and goes down between two of them."""
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    before = [trial(0, val_accuracy=0.5, latency_ms=1.0), trial(1, "running", "training")]
    state = [search(*before)]
    console = Console(file=io.StringIO(), width=300, force_terminal=True)
    with Progress(console, lambda: state[0], 11) as table:
        assert "left" not in table._headline(state[0]).plain
        state[0] = search(before[0], *(trial(number, val_accuracy=0.5, latency_ms=1.0) for number in (1, 2)))
        now[0] += 60
        assert "3 of 11 trials, 1 min 00 s, about 4 min 00 s left" in table._headline(state[0]).plain
        now[0] += 20
        assert "3 of 11 trials, 1 min 20 s, about 3 min 40 s left" in table._headline(state[0]).plain


def test_quiet_starts_are_explained():
    done = search(trial(0, val_accuracy=0.5, latency_ms=1.0))
    for result in (search(), done):
        console = Console(file=io.StringIO(), width=300, force_terminal=True)
        with Progress(console, lambda result=result: result, 4) as table:
            assert "the workers start" in table._headline(result).plain
