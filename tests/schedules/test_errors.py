"""What a schedule refuses, and what it says."""

import pytest

from keras_nnx import schedules

HALF = schedules.StepDecay(0.5, 2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: schedules.StepDecay(0.0, 2), r"StepDecay\(learning_rate=0.0\) needs a number over 0"),
        (lambda: schedules.StepDecay(0.1, 0), r"StepDecay\(every=0\) needs an integer of at least 1"),
        (lambda: schedules.StepDecay(0.1, 2, 1.5), r"StepDecay\(factor=1.5\) needs a number over 0 and at most 1"),
        (lambda: schedules.StepDecay(0.1, 2, warmup_steps=-1), r"warmup_steps=-1\) needs an integer of at least 0"),
        (lambda: schedules.StepDecay(0.1, 2, warmup_from=-0.1), "at least 0"),
        (lambda: schedules.MultiStepDecay(0.1, []), "needs a list of steps"),
        (lambda: schedules.MultiStepDecay(0.1, [3, 3]), "has to rise: put the steps in order"),
        (lambda: schedules.ExponentialDecay(0.1, 2, 0.5, end=0.2), "use an end of at most 0.1"),
        (lambda: schedules.PolynomialDecay(0.1, 2, power=0), "power=0"),
        (lambda: schedules.InverseSquareRoot(0.1, time_scale=0), "time_scale=0"),
        (lambda: schedules.CosineRestarts(0.1, 2, period_factor=0.5), "at least 1"),
        (lambda: schedules.CosineRestarts(0.1, 2, restarts=-1), "restarts=-1"),
        (lambda: schedules.WarmupStableDecay(0.1, 1, 1, 1, shape="round"), "choose one of 'linear', 'cosine', 'sqrt'"),
        (lambda: schedules.OneCycle(0.1, 100, start_divisor=0.5), "at least 1"),
        (lambda: schedules.OneCycle(0.1, 3), "without a step: use more steps"),
        (lambda: schedules.OneCycle(0.1, 100, rising_share=0.0), "over 0 and under 1"),
        (lambda: schedules.OneCycle(0.1, 10, 0.7, three_phase=True), "nearer to a third"),
        (lambda: schedules.OneCycleMomentum(100, lowest=-0.1), "needs a number from 0 to 1"),
        (lambda: schedules.OneCycleMomentum(100, lowest=0.9, highest=0.5), "the wrong way round"),
        (lambda: schedules.Joined([HALF], [2]), "at least two schedules"),
        (lambda: schedules.Joined([HALF, 0.1], [2]), "is no LearningRateSchedule: for a constant rate use"),
        (lambda: schedules.Joined([HALF, HALF], [2, 3]), "one fewer"),
        (lambda: schedules.Scaled(0.1), "is no LearningRateSchedule"),
        (lambda: schedules.Scaled(HALF, factor=-1), "at least 0"),
        (lambda: schedules.Scaled(HALF, offset=0.5), "needs an integer"),
        (lambda: schedules.values(HALF, 0), r"values\(steps=0\)"),
    ],
)
def test_errors_say_what_to_do(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_refused_factor_changes_nothing():
    schedule = schedules.Scaled(HALF, 0.5)
    with pytest.raises(ValueError, match="at least 0"):
        schedule.factor = -1
    assert schedule.factor == 0.5
    assert float(schedule(0)) == 0.25
