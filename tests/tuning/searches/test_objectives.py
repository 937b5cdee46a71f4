"""Names, objectives and constraints as they are written."""

import pytest

from keras_nnx.tuning.searches.objectives import (
    check_constraints,
    check_objectives,
    parse_constraint,
    parse_objective,
    parse_quantity,
)
from keras_nnx.tuning.searches.result import SearchResult, TrialResult, pareto_front

METRICS = ("loss", "accuracy")


@pytest.mark.parametrize(
    ("text", "direction", "kind"),
    [
        ("val_accuracy", "max", "metric"),
        ("val_loss", "min", "metric"),
        ("latency_ms", "min", "artifact"),
        ("int8_accuracy", "max", "artifact"),
        ("tflite_int8_size_mb", "min", "artifact"),
        ("parameters", "min", "parameters"),
        ("max:val_loss", "max", "metric"),
    ],
)
def test_objective(text, direction, kind):
    objective = parse_objective(text, METRICS)
    assert (objective.direction, objective.quantity.kind) == (direction, kind)


def test_parts_of_an_artifact_name():
    quantity = parse_quantity("onnx_int8_memory_mb", METRICS)
    assert (quantity.runtime, quantity.precision, quantity.measure) == ("onnx", "int8", "memory_mb")
    assert quantity.before_training
    assert not parse_quantity("int8_accuracy", METRICS).before_training


def test_accuracy_is_that_of_the_artifact_whatever_the_metrics():
    for metrics in (METRICS, ("loss",), None):
        assert parse_quantity("accuracy", metrics).kind == "artifact"


@pytest.mark.parametrize("name", ["latency", "val_f1", "coreml_latency_ms", ""])
def test_unknown_name_lists_the_known_ones(name):
    with pytest.raises(ValueError, match=r"val_loss, val_accuracy, .*parameters, latency_ms, size_mb"):
        parse_objective(name, METRICS)


def test_direction_that_is_not_known():
    with pytest.raises(ValueError, match="write max:val_mystery or min:val_mystery"):
        parse_objective("val_mystery", ("mystery",))
    assert parse_objective("min:val_mystery", ("mystery",)).direction == "min"
    with pytest.raises(ValueError, match="write max:val_loss or min:val_loss"):
        parse_objective("most:val_loss", METRICS)


@pytest.mark.parametrize(
    ("text", "allowed", "refused"),
    [("latency_ms<=2", 2.0, 2.1), ("latency_ms < 2", 1.9, 2.0), ("val_accuracy>=0.9", 0.9, 0.8), ("size_mb>1", 2, 1)],
)
def test_constraint(text, allowed, refused):
    constraint = parse_constraint(text, METRICS)
    assert constraint.allows(allowed)
    assert not constraint.allows(refused)


@pytest.mark.parametrize("text", ["latency_ms", "latency_ms=2", "latency_ms<=", "<=2", "latency_ms<=2<=3"])
def test_text_that_is_no_constraint(text):
    with pytest.raises(ValueError, match="such as latency_ms<=2"):
        parse_constraint(text, METRICS)


@pytest.mark.parametrize("text", ["latency_ms<=fast", "latency_ms<=nan", "latency_ms<=inf"])
def test_bound_that_is_no_number(text):
    with pytest.raises(ValueError, match="write a number"):
        parse_constraint(text, METRICS)


@pytest.mark.parametrize(
    "text", ["latency_ms<=0", "size_mb<=-1", "parameters<0", "val_accuracy<-0.1", "val_accuracy<0", "val_accuracy>1"]
)
def test_bound_that_nothing_keeps(text):
    with pytest.raises(ValueError, match="No model can keep"):
        parse_constraint(text, METRICS)


def test_accuracy_in_percent():
    with pytest.raises(ValueError, match=r"write 0.95 for 95%"):
        parse_constraint("val_accuracy>=95", METRICS)


@pytest.mark.parametrize(
    ("texts", "sound"),
    [
        (("latency_ms<=2", "latency_ms>=3"), False),
        (("latency_ms<2", "latency_ms>=2"), False),
        (("latency_ms<=2", "latency_ms>=2"), True),
        (("latency_ms<=2", "size_mb>=3"), True),
        (("latency_ms<=2", "onnx_latency_ms>=3"), False),
        (("latency_ms<=2", "tflite_latency_ms>=3"), True),
    ],
)
def test_contradictions(texts, sound):
    constraints = [parse_constraint(text, METRICS) for text in texts]
    if sound:
        check_constraints(constraints)
    else:
        with pytest.raises(ValueError, match="contradict each other"):
            check_constraints(constraints)


def test_objectives_that_are_double_or_missing():
    with pytest.raises(ValueError, match="needs an objective"):
        check_objectives([])
    with pytest.raises(ValueError, match="val_loss is given more than once"):
        check_objectives([parse_objective("val_loss"), parse_objective("max:val_loss")])


def _trial(number, accuracy, latency, state="completed"):
    return TrialResult(str(number), state, {"x": number}, {"val_accuracy": accuracy, "latency_ms": latency})


def test_front_by_its_definition():
    objectives = [parse_objective("val_accuracy"), parse_objective("latency_ms")]
    trials = [_trial(1, 0.9, 2), _trial(2, 0.9, 3), _trial(3, 0.8, 1), _trial(4, 0.95, 9), _trial(5, 0.7, 1.5)]
    trials.append(_trial(6, 1.0, 0.1, "infeasible"))
    assert [trial.id for trial in pareto_front(trials, objectives)] == ["4", "1", "3"]
    assert [trial.id for trial in pareto_front(trials, objectives[:1])] == ["4"]


def test_equal_trials_are_both_on_the_front():
    objectives = [parse_objective("val_accuracy")]
    assert len(pareto_front([_trial(1, 0.9, 2), _trial(2, 0.9, 3)], objectives)) == 2


def test_result_from_what_it_wrote(tmp_path):
    result = SearchResult(
        tmp_path,
        {"space": "vit"},
        (parse_objective("val_accuracy"), parse_objective("max:latency_ms")),
        (parse_constraint("latency_ms<=2"),),
        (_trial(1, 0.9, 2), TrialResult("2", "rejected", reason="too slow", notes=("noisy",))),
        3.5,
        {"keras": "3"},
    )
    assert SearchResult.from_dict(tmp_path, result.to_dict()) == result
    assert result.to_dict()["front"] == ["1"]


def test_objectives_that_are_the_same():
    with pytest.raises(ValueError, match="objectives latency_ms and onnx_latency_ms are the same"):
        check_objectives([parse_objective(name, METRICS) for name in ("latency_ms", "onnx_latency_ms")], "onnx")
    check_objectives([parse_objective(name, METRICS) for name in ("latency_ms", "onnx_latency_ms")], "tflite")
    with pytest.raises(ValueError, match="objective size_mb is given more than once"):
        check_objectives([parse_objective(name, METRICS) for name in ("size_mb", "latency_ms", "size_mb")])


@pytest.mark.parametrize("text", ["parameters>=1234567", "latency_ms<=0.1", "val_loss<1e-09", "val_loss>=-2.5"])
def test_constraints_are_written_with_all_digits(text):
    assert str(parse_constraint(text, METRICS)) == text
