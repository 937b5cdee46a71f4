"""Every schedule against its closed form, at each step of a run and past the integers of float32."""

import math

import keras
import numpy as np
import pytest
from keras import ops

from keras_nnx import schedules

STEPS = 60
WARM = {"warmup_steps": 7, "warmup_from": 0.05}


def warmed(decayed, peak=0.8, steps=7, first=0.05):
    """The rate at a step: a straight line up, then a function of the steps behind it."""
    return lambda t: first + (peak - first) * t / steps if t < steps else decayed(t - steps)


def cosine(first, last, share):
    return last + (first - last) * (1 + math.cos(math.pi * share)) / 2


def restarts(t, peak=0.8, end=0.1, period=5, longer=2, lower=0.5, count=math.inf):
    """One cycle after the other: written as a walk, the schedule looks up."""
    cycle, length, height = 0, period, peak
    while t >= length and cycle < count:
        t, cycle, length, height = t - length, cycle + 1, round(period * longer ** (cycle + 1)), height * lower
    return cosine(max(height, end), end, min(t / length, 1))


def torch_warm_restarts(steps, peak, end, period, longer):
    """The recurrence of torch.optim.lr_scheduler.CosineAnnealingWarmRestarts."""
    current, length, found = 0, period, []
    for _ in range(steps):
        found.append(end + (peak - end) * (1 + math.cos(math.pi * current / length)) / 2)
        current += 1
        if current >= length:
            current, length = current - length, length * longer
    return found


def torch_one_cycle(steps, share, three_phase, shape, rates, momenta):
    """The phases of torch.optim.lr_scheduler.OneCycleLR; rates and momenta are (first, peak, last)."""
    turn = float(share * steps)
    if three_phase:
        phases = [(turn - 1, (0, 1)), (2 * turn - 2, (1, 0)), (steps - 1, (0, 2))]
    else:
        phases = [(turn - 1, (0, 1)), (steps - 1, (1, 2))]
    found = []
    for step in range(steps):
        start = 0.0
        for number, (end, (one, other)) in enumerate(phases):
            if step <= end or number == len(phases) - 1:
                done = (step - start) / (end - start)
                pair = []
                for levels in (rates, momenta):
                    if shape == "linear":
                        pair.append((levels[other] - levels[one]) * done + levels[one])
                    else:
                        pair.append(levels[other] + (levels[one] - levels[other]) / 2 * (1 + math.cos(math.pi * done)))
                found.append(pair)
                break
            start = end
    return np.asarray(found).T


CASES = {
    "step": (schedules.StepDecay(0.8, 6, 0.5, **WARM), warmed(lambda t: 0.8 * 0.5 ** (t // 6))),
    "multi_step": (
        schedules.MultiStepDecay(0.8, [3, 4, 30], 0.3, **WARM),
        warmed(lambda t: 0.8 * 0.3 ** sum(t >= b for b in (3, 4, 30))),
    ),
    "exponential": (
        schedules.ExponentialDecay(0.8, 9, 0.5, end=0.1, **WARM),
        warmed(lambda t: max(0.1, 0.8 * 0.5 ** (t / 9))),
    ),
    "polynomial": (
        schedules.PolynomialDecay(0.8, 40, end=0.1, power=2.5, **WARM),
        warmed(lambda t: 0.1 + 0.7 * (1 - min(t, 40) / 40) ** 2.5),
    ),
    "inverse_square_root": (
        schedules.InverseSquareRoot(0.8, **WARM),
        warmed(lambda t: 0.8 * math.sqrt(7 / (t + 7))),
    ),
    "inverse_square_root_scaled": (
        schedules.InverseSquareRoot(0.8, time_scale=3),
        lambda t: 0.8 * math.sqrt(3 / (t + 3)),
    ),
    "restarts": (schedules.CosineRestarts(0.8, 5, 0.1, 2, 0.5, **WARM), warmed(restarts)),
    "restarts_real_factor": (
        schedules.CosineRestarts(0.8, 5, 0.1, 1.3, 0.9),
        lambda t: restarts(t, longer=1.3, lower=0.9),
    ),
    "restarts_equal": (
        schedules.CosineRestarts(0.8, 5, 0.1, peak_factor=0.5, restarts=2, **WARM),
        warmed(lambda t: restarts(t, longer=1, count=2)),
    ),
    "restarts_few": (
        schedules.CosineRestarts(0.8, 5, 0.1, 2, restarts=1),
        lambda t: restarts(t, lower=1, count=1),
    ),
    "cosine": (
        schedules.CosineRestarts(0.8, 40, 0.1, restarts=0, **WARM),
        warmed(lambda t: cosine(0.8, 0.1, min(t / 40, 1))),
    ),
    **{
        f"stable_{shape}": (
            schedules.WarmupStableDecay(0.8, 7, 20, 25, 0.1, shape, 0.05),
            warmed(lambda t, left=left: 0.1 + 0.7 * left(min(max(t - 20, 0) / 25, 1))),
        )
        for shape, left in {
            "linear": lambda s: 1 - s,
            "cosine": lambda s: cosine(1, 0, s),
            "sqrt": lambda s: 1 - math.sqrt(s),
        }.items()
    },
    "joined": (
        schedules.Joined(
            [
                schedules.PolynomialDecay(0.5, 10),
                keras.optimizers.schedules.ExponentialDecay(0.8, 4, 0.5),
                schedules.StepDecay(0.3, 5),
            ],
            [8, 30],
        ),
        lambda t: (
            0.5 * (1 - t / 10) if t < 8 else 0.8 * 0.5 ** ((t - 8) / 4) if t < 30 else 0.3 * 0.1 ** ((t - 30) // 5)
        ),
    ),
    "scaled": (
        schedules.Scaled(schedules.PolynomialDecay(0.8, 40), 0.25, 10),
        lambda t: 0.25 * 0.8 * (1 - min(max(t - 10, 0), 40) / 40),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_closed_form_holds_at_every_step(case):
    schedule, closed = CASES[case]
    np.testing.assert_allclose(schedule.values(STEPS), [closed(t) for t in range(STEPS)], rtol=2e-5, atol=1e-6)
    assert np.ptp(schedule.values(STEPS)) > 0.1


@pytest.mark.parametrize("longer", [1, 2, 3])
def test_warm_restarts_are_those_of_torch(longer):
    expected = torch_warm_restarts(200, 0.5, 0.01, 6, longer)
    found = schedules.CosineRestarts(0.5, 6, 0.01, longer).values(200)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("three_phase", [False, True])
@pytest.mark.parametrize("shape", ["cosine", "linear"])
@pytest.mark.parametrize(("steps", "share"), [(100, 0.3), (37, 0.45), (11, 0.25)])
def test_one_cycle_is_that_of_torch(three_phase, shape, steps, share):
    rates, momenta = (0.02, 0.5, 0.02 / 1e4), (0.95, 0.85, 0.95)
    expected = torch_one_cycle(steps, share, three_phase, shape, rates, momenta)
    rate = schedules.OneCycle(0.5, steps, share, 25.0, 1e4, shape, three_phase)
    momentum = schedules.OneCycleMomentum(steps, 0.85, 0.95, share, shape, three_phase)
    np.testing.assert_allclose(rate.values(steps), expected[0], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(momentum.values(steps), expected[1], rtol=1e-5)
    assert float(rate(steps + 50)) == pytest.approx(expected[0][-1], rel=1e-3)


@pytest.mark.parametrize("case", CASES)
def test_all_steps_at_once_are_the_same(case):
    schedule, _ = CASES[case]
    together = ops.convert_to_numpy(schedule(np.arange(STEPS)))
    np.testing.assert_allclose(together, schedule.values(STEPS), rtol=1e-6, atol=1e-7)
    assert keras.backend.standardize_dtype(schedule(ops.convert_to_tensor(3)).dtype) == "float32"


@pytest.mark.parametrize(
    ("schedule", "change"),
    [
        (schedules.StepDecay(1.0, 2**24 + 3, 0.5), 2**24 + 3),
        (schedules.MultiStepDecay(1.0, [2**24 + 3], 0.5), 2**24 + 3),
        (
            schedules.Joined([schedules.StepDecay(1.0, 1, 1.0), schedules.StepDecay(0.5, 1, 1.0)], [2**24 + 3]),
            2**24 + 3,
        ),
        (schedules.CosineRestarts(1.0, 2**24 + 3, period_factor=2, peak_factor=0.5), 2**24 + 3),
        (schedules.CosineRestarts(1.0, 3, peak_factor=0.5, restarts=1), 3),
    ],
    ids=["step", "multi_step", "joined", "restarts", "late"],
)
def test_steps_past_the_integers_of_float32_count(schedule, change):
    at = [float(schedule(ops.convert_to_tensor(change + moved, dtype="int64"))) for moved in (-1, 0)]
    assert at[1] == pytest.approx(0.5)
    assert at[0] != pytest.approx(0.5)


def test_short_cycles_late_in_a_long_run():
    schedule, start = schedules.CosineRestarts(1.0, 10), 10 * (2**24 + 1)
    late = [float(schedule(ops.convert_to_tensor(start + step, dtype="int64"))) for step in range(10)]
    np.testing.assert_allclose(late, schedule.values(10), rtol=1e-6)


def test_a_picture_is_drawn(tmp_path):
    schedule = schedules.CosineRestarts(1.0, 10)
    for path in (
        schedule.plot(tmp_path / "new" / "own.png", 3000),
        schedules.plot(schedule, tmp_path / "other.svg", 3),
    ):
        assert path.stat().st_size > 1000


def test_a_picture_names_the_missing_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r'pip install "keras-nnx\[plot\]"'):
        schedules.plot(schedules.StepDecay(1.0, 2), tmp_path / "x.png", 3)
