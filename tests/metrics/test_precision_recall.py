"""Precision, recall, density and coverage, against brute force and sets made for them."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_nnx.metrics import Overlap, PrecisionRecall, precision_recall

RANDOM = np.random.default_rng(0)


def reference(real, generated, neighbours):
    """Ball by ball."""

    def radius(rows, index):
        others = [np.linalg.norm(rows[index] - row) for place, row in enumerate(rows) if place != index]
        return sorted(others)[neighbours - 1]

    def inside(rows, centres):
        """Whether each of the rows is in the ball of each of the centres."""
        return np.array(
            [
                [np.linalg.norm(row - centre) <= radius(centres, index) for index, centre in enumerate(centres)]
                for row in rows
            ]
        )

    balls = inside(generated, real)
    return Overlap(
        precision=np.mean([any(ball) for ball in balls]),
        recall=np.mean([any(ball) for ball in inside(real, generated)]),
        density=balls.sum() / (neighbours * len(generated)),
        coverage=np.mean([any(ball) for ball in balls.T]),
    )


def measured(real, generated, **arguments):
    metric = PrecisionRecall(**arguments)
    metric.update_real(real)
    metric.update_generated(generated)
    return metric.result()


@given(
    counts=st.tuples(st.integers(6, 25), st.integers(6, 25)),
    size=st.integers(1, 4),
    neighbours=st.integers(1, 5),
    shift=st.sampled_from([0.0, 0.7, 3.0]),
)
def test_the_equations(counts, size, neighbours, shift):
    random = np.random.default_rng(counts)
    real, generated = random.standard_normal((counts[0], size)), random.standard_normal((counts[1], size)) + shift
    received = measured(real, generated, neighbours=neighbours).to_dict()
    assert received == pytest.approx(reference(real, generated, neighbours).to_dict(), abs=1e-12)


def test_blocks_give_what_the_whole_gives(monkeypatch):
    real, generated = RANDOM.standard_normal((53, 3)), RANDOM.standard_normal((41, 3))
    whole = measured(real, generated)
    for entries in (1, 150, 53 * 41):
        monkeypatch.setattr(precision_recall, "_ENTRIES", entries)
        assert measured(real, generated) == whole


@pytest.mark.parametrize("offset", [0, 1e4])
def test_identical_sets(offset):
    rows = RANDOM.standard_normal((200, 30)) * 1e-2 + offset
    overlap = measured(rows, rows[::-1], neighbours=4)
    assert (overlap.precision, overlap.recall, overlap.coverage) == (1, 1, 1)
    assert overlap.density >= 1


def test_repeated_images_are_next_to_themselves():
    """Balls without extent have a border still, however the products round."""
    rows = np.repeat(RANDOM.standard_normal((20, 300)) * 1e3, 5, axis=0)
    overlap = measured(rows, rows[RANDOM.permutation(len(rows))])
    assert (overlap.precision, overlap.recall, overlap.coverage) == (1, 1, 1)
    beside = measured(rows, rows + 1e-2)
    assert (beside.precision, beside.recall) == (0, 0)


def test_disjoint_sets():
    rows = RANDOM.standard_normal((50, 4))
    assert measured(rows, RANDOM.standard_normal((50, 4)) + 100) == Overlap(0, 0, 0, 0)


def test_a_mode_that_is_dropped_lowers_the_recall_and_not_the_precision():
    def modes(count):
        return np.concatenate([RANDOM.standard_normal((150, 2)) + 50 * index for index in range(count)])

    real = modes(4)
    everything, dropped = measured(real, modes(4)), measured(real, modes(3))
    assert dropped.precision > 0.9
    assert everything.recall > 0.9
    assert dropped.recall == pytest.approx(0.75 * everything.recall, abs=0.03)
    assert dropped.coverage == pytest.approx(0.75 * everything.coverage, abs=0.03)
    invented = measured(modes(3), modes(4))
    assert invented.recall > 0.9
    assert invented.precision == pytest.approx(0.75 * everything.precision, abs=0.03)


def test_sets_of_one_origin_have_density_1():
    overlap = measured(*RANDOM.standard_normal((2, 1000, 3)), neighbours=5)
    assert overlap.density == pytest.approx(1, abs=0.1)


def test_a_real_outlier_does_not_raise_the_density():
    """What density is for: the ball of an outlier is large enough for anything."""
    real = np.concatenate([RANDOM.standard_normal((100, 2)), [[100.0, 0.0]]])
    poor = RANDOM.standard_normal((100, 2)) + np.array([50.0, 0.0])
    overlap = measured(real, poor)
    assert overlap.precision > 0.4
    assert overlap.density < 0.5
    assert overlap.density == pytest.approx(overlap.precision / 3)


def test_the_result_is_plain():
    overlap = measured(*RANDOM.standard_normal((2, 10, 3)))
    assert json.loads(json.dumps(overlap.to_dict())) == overlap.to_dict()
    assert list(overlap.to_dict()) == ["precision", "recall", "density", "coverage"]


def test_samples_are_bounded():
    real, generated = RANDOM.standard_normal((2, 100, 3))
    metric = PrecisionRecall(max_samples=20, seed=3)
    for batch in np.split(real, 10):
        metric.update_real(batch)
    metric.update_generated(generated)
    kept = [metric._sets[name].samples for name in ("real", "generated")]
    assert [len(rows) for rows in kept] == [20, 20]
    assert metric.result() == measured(*kept)
    assert metric.result() == measured(real, generated, max_samples=20, seed=3)


@pytest.mark.parametrize(("real", "generated", "wanting"), [(3, 4, "real"), (4, 0, "generated")])
def test_too_few_images(real, generated, wanting):
    message = rf"needs 4 {wanting} images at least, one and its neighbours \(neighbours=3\), but there were"
    with pytest.raises(ValueError, match=message):
        measured(np.zeros((real, 2)), np.zeros((generated, 2)))
    measured(np.zeros((4, 2)), np.zeros((4, 2)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"neighbours": 0}, r"PrecisionRecall\(neighbours=0\) needs an integer of at least 1"),
        ({"max_samples": 1.5}, r"max_samples=1.5\) needs an integer of at least 1"),
        ({"seed": "now"}, r"seed='now'\) needs an integer of at least 0"),
        ({"neighbours": 5, "max_samples": 5}, r"neighbours=5, max_samples=5\) keeps too few .*: keep more than 5"),
        ({"extractor": 3}, r"extractor=3\) needs a keras.Model, a function"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        PrecisionRecall(**arguments)
