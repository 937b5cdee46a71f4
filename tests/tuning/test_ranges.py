"""What arguments may be, as keras-tuner sees it."""

import keras_tuner
import numpy as np
import pytest

from keras_nnx.tuning import Bool, Choice, Float, Int, Repeat
from keras_nnx.tuning.ranges import resolve


def chosen(value, **values):
    """Return what a trial gets that has chosen some values, and all that is known of the space."""
    hp = keras_tuner.HyperParameters()
    hp.values = dict(values)
    return resolve(value, hp, "x"), hp


@pytest.mark.parametrize(
    ("value", "values", "expected"),
    [
        (Int(2, 6), {}, 2),
        (Int(2, 6, default=4), {}, 4),
        (Int(8, 64, step=2, sampling="log"), {"x": 32}, 32),
        (Float(1e-4, 1, sampling="log", default=1e-2), {}, 1e-2),
        (Bool(), {"x": True}, True),
        (Choice([None, 0.25]), {}, None),
        (Choice([None, 0.25]), {"x": "0.25"}, 0.25),
        (Choice(["a", "b"], default="b"), {}, "b"),
        (Choice({"small": (8, 16), "large": (32, 64)}), {"x": "large"}, (32, 64)),
        (Choice({"none": None, "some": Float(0.1, 0.5)}), {"x": "some", "x=some": 0.3}, 0.3),
        (Repeat(Int(1, 9), 3), {"x/2": 5}, (1, 5, 1)),
        (Repeat(Int(1, 9), Int(1, 3)), {"x/times": 2, "x/1": 4, "x/2": 6}, (4, 6)),
        (Repeat(Int(1, 9), Int(1, 3), same=True), {"x/times": 3, "x/each": 4}, (4, 4, 4)),
        ({"a": [Int(1, 2), 7], "b": "c"}, {"x/a/1": 2}, {"a": [2, 7], "b": "c"}),
    ],
)
def test_values(value, values, expected):
    assert chosen(value, **values)[0] == expected


def test_everything_is_known_from_the_start_and_active_where_it_is_used():
    value = Choice({"none": None, "some": Repeat(Choice([1, Int(2, 5)]), Int(1, 2))})
    _, hp = chosen(value)
    names = ["x", "x=some/times", "x=some/1", "x=some/1=Int(2, 5)", "x=some/2", "x=some/2=Int(2, 5)"]
    assert [entry.name for entry in hp.space] == names
    assert hp.values == {"x": "none"}
    _, hp = chosen(value, x="some", **{"x=some/times": 2, "x=some/1": "1", "x=some/2": "Int(2, 5)"})
    assert {entry.name for entry in hp.space if hp.is_active(entry)} == {*names} - {"x=some/1=Int(2, 5)"}


def test_values_survive_the_way_to_another_process():
    """keras-tuner sends numbers in single precision, and would not find them among the choices."""
    _, hp = chosen(
        {"rate": Choice([0.1, 1e-3, 3e-4]), "flag": Bool(), "units": Choice([1, 64])}, **{"x/rate": "0.0003"}
    )
    sent = keras_tuner.HyperParameters.from_proto(hp.to_proto())
    value = resolve({"rate": Choice([0.1, 1e-3, 3e-4]), "flag": Bool(), "units": Choice([1, 64])}, sent, "x")
    assert value == {"rate": 3e-4, "flag": False, "units": 1}
    assert isinstance(value["flag"], bool)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Int(6, 2), "low bound under the high one"),
        (lambda: Int(1.5, 2), r"Int\(low=1.5\) needs an integer"),
        (lambda: Int(1, 9, step=0), "step over 0"),
        (lambda: Int(1, 9, step=1, sampling="log"), "step over 1"),
        (lambda: Int(1, 9, default=10), "outside 1 to 9"),
        (lambda: Float(0, 1, sampling="log"), "start over 0"),
        (lambda: Float(0, float("nan")), "needs a number"),
        (lambda: Float(0, 1, sampling="square"), "choose one of linear, log"),
        (lambda: Choice([]), "needs values to choose from"),
        (lambda: Choice("ab"), "needs values to choose from"),
        (lambda: Choice([1, 1]), "two values called '1'"),
        (lambda: Choice(["a", "b"], default="c"), "not among the choices: a, b"),
        (lambda: Repeat(1, 0), "at least 1"),
        (lambda: Repeat(1, Int(1, 5, step=2)), "steps of 1"),
    ],
)
def test_errors(make, said):
    with pytest.raises(ValueError, match=said):
        make()


def test_choices_of_an_array():
    found = Choice(np.array([16, 32]), default=32)
    assert (found.values, found.default) == ({"16": 16, "32": 32}, "32")
