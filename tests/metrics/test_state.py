"""Resets, states, copies, and the sample that is kept."""

import copy
import pickle

import keras
import numpy as np
import pytest

from keras_nnx.metrics import FrechetDistance, KernelDistance, PrecisionRecall
from keras_nnx.metrics._reservoir import Reservoir

RANDOM = np.random.default_rng(0)
REAL, GENERATED, MORE = RANDOM.standard_normal((3, 60, 2, 3)).astype("float32")
METRICS = [
    pytest.param(FrechetDistance, {}, id="FrechetDistance"),
    pytest.param(KernelDistance, {"subsets": 5, "subset_size": 10, "max_samples": 40}, id="KernelDistance"),
    pytest.param(PrecisionRecall, {"max_samples": 40}, id="PrecisionRecall"),
]
each = pytest.mark.parametrize(("kind", "arguments"), METRICS)


def fed(kind, arguments, real=REAL, generated=GENERATED):
    metric = kind(**arguments)
    metric.update_real(real)
    metric.update_generated(generated)
    return metric


@each
def test_resetting_the_generated_images_keeps_the_real_ones(kind, arguments):
    metric = fed(kind, arguments)
    first = metric.result()
    metric.reset_generated()
    assert (metric.real_count, metric.generated_count) == (60, 0)
    with pytest.raises(ValueError, match="generated images at least"):
        metric.result()
    metric.update_generated(MORE)
    assert metric.result() == fed(kind, arguments, generated=MORE).result()
    assert metric.result() != first


@each
def test_resetting_all(kind, arguments):
    metric = fed(kind, arguments)
    metric.reset()
    assert (metric.real_count, metric.generated_count) == (0, 0)
    metric.update_real(MORE[:, 0])  # of another size
    metric.update_generated(REAL[:, 0])
    assert metric.result() == fed(kind, arguments, MORE[:, 0], REAL[:, 0]).result()


@each
def test_results_follow_updates(kind, arguments):
    metric = fed(kind, arguments)
    first = metric.result()
    metric.update_real(MORE)
    assert metric.result() != first
    assert metric.result() == pytest.approx(fed(kind, arguments, np.concatenate([REAL, MORE])).result())


@each
@pytest.mark.parametrize("seen", [0, 60])
def test_a_state_is_gone_on_from(kind, arguments, seen, tmp_path):
    """By way of a file, into a metric that knew something else."""
    metric = fed(kind, arguments, generated=GENERATED[:seen])
    np.savez(tmp_path / "state.npz", **metric.get_state())
    other = fed(kind, arguments, MORE, MORE)
    other.result()
    with np.load(tmp_path / "state.npz", allow_pickle=False) as archive:
        other.set_state(dict(archive))
    for one in (metric, other):
        one.update_real(MORE)
        one.update_generated(REAL)
    assert (other.real_count, other.generated_count) == (120, seen + 60)
    assert other.result() == metric.result()


@each
def test_a_state_is_apart_from_the_metric(kind, arguments):
    metric = fed(kind, arguments)
    state, expected = metric.get_state(), metric.result()
    metric.update_real(MORE)
    other = kind(**arguments)
    other.set_state(state)
    assert other.result() == expected
    other.update_real(MORE)
    third = kind(**arguments)
    third.set_state(state)
    assert third.result() == expected


@each
def test_a_state_of_something_else_is_refused(kind, arguments):
    metric = fed(kind, arguments)
    expected, state = metric.result(), metric.get_state()
    name = "real_mean" if kind is FrechetDistance else "real_samples"
    smaller = {**state, name: state[name][..., :2]}
    if kind is FrechetDistance:
        smaller["real_scatter"] = state["real_scatter"][:2, :2]
    for wrong, message in [
        ({}, rf"{kind.__name__}.set_state expects the entries \['generated_count', .*but received \[\]"),
        ({**state, name: np.zeros((3, 4))}, r"set_state received real images that do not fit: .*\(3, 4\)"),
        (smaller, "received 2 features of real images and 6 of generated ones"),
    ]:
        with pytest.raises(ValueError, match=message):
            metric.set_state(wrong)
    assert metric.get_state().keys() == state.keys()
    assert metric.result() == expected


def test_a_state_of_another_size_of_the_sample_is_refused():
    state = fed(PrecisionRecall, {"max_samples": 40}).get_state()
    with pytest.raises(ValueError, match=r"samples of shape \(40, 6\), and not 50 rows, as max_samples=50 keeps"):
        PrecisionRecall(max_samples=50).set_state(state)


@each
def test_copies_share_the_extractor_and_nothing_else(kind, arguments):
    extractor = keras.Sequential([keras.Input((2, 3)), keras.layers.Flatten()])
    metric = fed(kind, {**arguments, "extractor": extractor})
    expected = metric.result()
    other = copy.deepcopy(metric)
    assert other.extractor is extractor
    other.update_real(MORE)
    assert other.result() != expected
    assert metric.result() == expected
    assert metric.real_count == 60


@each
def test_pickles(kind, arguments):
    metric = fed(kind, arguments)
    assert pickle.loads(pickle.dumps(metric)).result() == metric.result()


def test_a_reservoir_keeps_all_until_it_is_full():
    reservoir = Reservoir(10, [0])
    rows = np.arange(12.0)[:, None]
    for row in rows[:10]:
        reservoir.add(row[None])
        np.testing.assert_array_equal(reservoir.samples, rows[: reservoir.count])
    reservoir.add(rows[10:])
    assert len(reservoir.samples) == 10
    assert len(np.unique(reservoir.samples)) == 10
    assert set(reservoir.samples[:, 0]) <= set(rows[:, 0])


@pytest.mark.parametrize("batch", [1, 7, 30])
def test_a_reservoir_keeps_every_row_equally_often(batch):
    counts = np.zeros(30)
    for seed in range(800):
        reservoir = Reservoir(6, [seed, 0])
        for start in range(0, 30, batch):
            reservoir.add(np.arange(start, min(start + batch, 30), dtype="float32")[:, None])
        counts[reservoir.samples[:, 0].astype(int)] += 1
    assert counts.sum() == 6 * 800
    error = np.sqrt(800 * 0.2 * 0.8)
    assert np.abs(counts - 160).max() < 4.5 * error


def test_batches_do_not_change_the_sample():
    rows = RANDOM.standard_normal((200, 3))
    samples = []
    for batch in (1, 9, 200):
        reservoir = Reservoir(15, [1, 2])
        for start in range(0, 200, batch):
            reservoir.add(rows[start : start + batch])
        samples.append(reservoir.samples)
    np.testing.assert_array_equal(samples[0], samples[1])
    np.testing.assert_array_equal(samples[0], samples[2])
