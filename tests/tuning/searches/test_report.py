"""The page of a search: whole, well-formed, escaped, and at home without TensorFlow."""

import math
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import hypothesis
import hypothesis.strategies as st
import pytest

from keras_nnx.tuning.searches._axes import axis_of, number_axis
from keras_nnx.tuning.searches._numbers import duration, measure, number, tick
from keras_nnx.tuning.searches._scatter import thin
from keras_nnx.tuning.searches._svg import in_lines
from keras_nnx.tuning.searches.objectives import parse_constraint, parse_objective
from keras_nnx.tuning.searches.report import render_search
from keras_nnx.tuning.searches.result import SearchResult, TrialResult

REASON = "latency_ms is 9.4: latency_ms<=6 is broken"
CURVE = {"val_accuracy": [0.5, math.nan, 0.7]}


def _trial(index, state="completed", reason="", **measures):
    values = {"ViT/dim": 64 * (1 + index % 3), "training/learning_rate": 10.0 ** -(1 + index % 4), "ViT/tokens": True}
    values |= {"training/momentum": 0.9} if index % 2 else {}
    return TrialResult(
        f"{index:04d}", state, values, measures, reason, 61.0, CURVE if measures else {}, f"trials/{index}"
    )


def _search(trials, objectives=("val_accuracy", "latency_ms"), constraints=("latency_ms<=6",), **configuration):
    return SearchResult(
        Path("runs/my search"),
        {"space": "ViT", "data": "digits", "trials": 40, "seed": 7, **configuration},
        tuple(parse_objective(text) for text in objectives),
        tuple(parse_constraint(text) for text in constraints),
        tuple(trials),
    )


def _completed(count):
    return [
        _trial(i, val_accuracy=0.5 + 0.4 * math.sin(i) ** 2, latency_ms=1.0 + i % 7, size_mb=10.0 ** (i % 4 - 2))
        for i in range(count)
    ]


def _drawings(text):
    found = [ElementTree.fromstring(part) for part in re.findall(r"<svg.*?</svg>", text, re.DOTALL)]
    for element in (element for root in found for element in root.iter()):
        written = " ".join(value for name, value in element.attrib.items() if not name.startswith(("data-", "aria-")))
        assert not re.search(r"\b(nan|inf)\b", written), element.attrib
    return found


def _points(root, kind):
    return [element for element in root.iter("circle") if element.get("class") == f"point {kind}"]


SEARCHES = {
    "nothing": _search([]),
    "none completed": _search([_trial(0, "rejected", REASON), _trial(1, "failed", "boom"), _trial(2, "running")]),
    "one": _search(_completed(1)),
    "one objective": _search(_completed(5), ("val_accuracy",)),
    "one objective, unconstrained": _search(_completed(5), ("val_accuracy",), ()),
    "three objectives": _search(
        [*_completed(30), _trial(30, "infeasible", REASON, val_accuracy=0.9, latency_ms=9.4, size_mb=1.0)],
        ("val_accuracy", "latency_ms", "size_mb"),
    ),
    "all the same": _search([_trial(0, val_accuracy=0.5, latency_ms=0.0)] * 3),
    "missing measures": _search([*_completed(2), _trial(2, val_accuracy=0.9), _trial(3, latency_ms=math.nan)]),
    "far apart": _search(
        [_trial(0, val_accuracy=-1e308, latency_ms=1e-320), _trial(1, val_accuracy=1e9, latency_ms=1e140)]
    ),
    "many": _search(_completed(200)),
}


@pytest.mark.parametrize("result", SEARCHES.values(), ids=SEARCHES)
def test_page(result):
    text = render_search(result)
    drawings = _drawings(text)
    assert len(drawings) >= bool(result.trials)
    table = text.partition("<tbody>")[2].partition("</tbody>")[0].replace("&lt;", "<")
    assert all(f'data-trial="{trial.id}"' in table and trial.reason in table for trial in result.trials)
    assert not re.search(r"https?:|xmlns|\s(src|href)=|@import|url\(", text)


def test_front_bounds_and_hollow_points():
    trials = [
        _trial(0, val_accuracy=0.9, latency_ms=5.0),
        _trial(1, val_accuracy=0.8, latency_ms=2.0),
        _trial(2, val_accuracy=0.7, latency_ms=3.0),
        _trial(3, "infeasible", REASON, val_accuracy=0.95, latency_ms=9.4),
    ]
    _, plot, curves = _drawings(render_search(_search(trials)))
    assert [len(_points(plot, kind)) for kind in ("front", "plain", "hollow")] == [2, 1, 1]
    step = next(element.get("d") for element in plot.iter("path") if element.get("class") == "step")
    (x0, y0), (x1, y1), (x2, y2) = ([float(part) for part in pair.split(",")] for pair in re.split("[ML]", step)[1:])
    assert x0 < x1 == x2, "from the fastest to the most accurate"
    assert y0 == y1 > y2
    assert [title.text for title in plot.iter("title")].count("latency_ms<=6") == 1
    assert sum("front" in element.get("class", "").split() for element in curves.iter("path")) == 2


def test_a_bound_far_off_does_not_squeeze_the_points():
    text = render_search(_search(_completed(8), constraints=("latency_ms<=900",)))
    assert "Outside the drawing: latency_ms&lt;=900." in text


def test_parallel_coordinates():
    trials = [*_completed(2), _trial(2, "rejected", REASON)]
    parallel = _drawings(render_search(_search(trials)))[0]
    lines = {
        group.get("data-trial"): group.findall("path")[1] for group in parallel.iter("g") if group.get("data-trial")
    }
    assert lines.keys() == {"0000", "0001", "0002"}
    assert "untrained" in lines["0002"].get("class")
    assert lines["0000"].get("d").count("C") - lines["0002"].get("d").count("C") == 2, "it ends before the measures"
    texts = [element.text for element in parallel.iter("text")]
    assert texts.count("not used") == 1
    assert {"learning_", "rate", "val_accuracy"} <= set(texts)


def test_many_axes_scroll():
    values = {f"MLP/layer_{index}/units": index for index in range(30)}
    root = _drawings(render_search(_search([TrialResult("0", "completed", values)])))[0]
    assert float(root.get("viewBox").split()[2]) == 30 * 80


def test_what_is_not_trusted_is_escaped():
    bad = "<script>alert('&\x00\ud800')</script>"
    trial = TrialResult(bad, "completed", {bad: bad}, {"val_accuracy": 0.5, bad: 1.0}, bad, 1.0, {}, bad, bad, (bad,))
    failed = TrialResult("1", "failed", {"a": [1, bad]}, {}, f"{bad}\nline two")
    text = render_search(_search([trial, failed], ("val_accuracy",), (), space=bad, data=bad))
    assert text.count("<script>") == 1
    assert "<script>alert" not in text
    assert "line two" in text
    assert _drawings(text)
    text.encode("utf-8")


def test_best_model(tmp_path):
    path = tmp_path / "search.html"
    text = _search(_completed(3)).to_html(path)
    assert path.read_text(encoding="utf-8") == text
    assert "keras-nnx verify &#39;runs/my search/best/float32&#39;" in text
    assert "keeps latency_ms&lt;=6" in text
    assert "<dt>Trials</dt><dd>3 of 40</dd>" in text
    without = TrialResult("0", "completed", {}, {"val_accuracy": 0.5, "latency_ms": 1.0})
    assert "There are no artifacts of it." in render_search(_search([without]))


def test_nothing_of_keras_is_imported():
    code = """
import sys
sys.argv = ["keras-nnx"]
from pathlib import Path
from keras_nnx.tuning.searches.result import SearchResult
assert "Best model" in SearchResult(Path("."), {}, (), (), ()).to_html()
assert not {"keras", "tensorflow", "keras_tuner", "matplotlib"} & sys.modules.keys()
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@hypothesis.given(st.lists(st.floats() | st.integers(), min_size=1), st.booleans())
def test_numbers_lie_on_their_axis(values, flipped):
    found = [value for value in map(number, values) if value is not None]
    axis = number_axis(found, padding=0.05, flipped=flipped)
    places = [axis.position(value) for value in found] + [place for place, _ in axis.ticks]
    assert all(place is not None and -1e-6 <= place <= 1 + 1e-6 for place in places)
    assert len(axis.ticks) <= 12


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ([64, 128, 256], ["64", "128", "256"]),
        ([1e-4, 1e-2], ["0.0001", "0.01"]),
        ([True, False], ["False", "True"]),
        (["sgd", "adam", None], ["None", "adam", "sgd"]),
        ([3, 3], ["3"]),
        ([0.1, 0.32, 0.33, 0.34, 0.5, 0.6, 0.7], ["0.2", "0.4", "0.6"]),
    ],
)
def test_ticks(values, labels):
    assert [label for _, label in axis_of(values).ticks] == labels


def test_log_axis():
    axis = number_axis([1e-4, 1.0])
    assert axis.log
    assert axis.position(1e-2) == pytest.approx(0.5)
    assert not number_axis([0.0, 1.0]).log


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (measure("val_accuracy", 0.93471), "93.47%"),
        (measure("tflite_latency_ms", 1.23456), "1.235 ms"),
        (measure("parameters", 1234567.0), "1,234,567"),
        (measure("size_mb", 2.0, unit=False), "2"),
        (tick("parameters", 250000.0), "250k"),
        (duration(0.4), "0.4 s"),
        (duration(3725), "1 h 2 min"),
        (duration(90000), "1 d 1 h"),
    ],
)
def test_numbers_as_people_read_them(written, expected):
    assert written == expected


def test_long_names_are_broken():
    assert in_lines("training/learning_rate") == ["training/", "learning_", "rate"]
    assert max(map(len, in_lines("a/" + "x" * 99))) == 12
    assert len(in_lines("_".join("abcdefgh" for _ in range(20)))) == 5


def test_long_curves_are_thinned_to_their_last_epoch():
    curve = thin([float(value) for value in range(1000)])
    assert len(curve) < 160
    assert curve[-1] == (1000, 999.0)
    assert thin([]) == []
