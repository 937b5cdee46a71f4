"""What was measured adds up."""

import copy
import json

import pytest

from keras_nnx.callbacks import GradualUnfreeze, ThroughputMonitor, throughput_monitor
from tests.callbacks.conftest import INPUTS, TARGETS, Does, compiled, fit


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self):
        self.now = 100.0

    def perf_counter(self):
        return self.now

    def move(self, seconds):
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(throughput_monitor, "time", clock)
    return clock


def ticking(clock, model, *, compiling=5.0, step=0.5):
    """Let each execution take its time, and the first longer."""
    taken = {"count": 0}
    make = model.make_train_function

    def made(force=False):
        make(force=force)
        inside = model.train_function

        def train(iterator):
            clock.move(step * model.steps_per_execution + (compiling if not taken["count"] else 0))
            taken["count"] += 1
            return inside(iterator)

        if not hasattr(inside, "ticks"):
            model.train_function = train
            train.ticks = True

    model.make_train_function = made
    return model


@pytest.mark.parametrize("steps_per_execution", [1, 2])
def test_steps_examples_and_compiling_are_told_apart(steps_per_execution, clock):
    model = ticking(clock, compiled(steps_per_execution=steps_per_execution))
    monitor = ThroughputMonitor()
    waits = Does("on_train_batch_end", lambda *_: clock.move(0.25))
    history = fit(model, monitor, waits, epochs=3).history
    summary = monitor.summary
    assert (summary.epochs, summary.steps, summary.examples) == (3, 12, 48)
    assert summary.step_seconds_median == pytest.approx(0.5)
    assert summary.step_seconds_p95 == pytest.approx(0.5)
    assert summary.compile_seconds == pytest.approx(5.0)
    assert summary.examples_per_second == pytest.approx(8.0)
    assert summary.waiting_seconds == pytest.approx(0.25 * 3 * (4 / steps_per_execution - 1))
    assert history["examples_per_second"] == pytest.approx([8.0] * 3)
    assert history["step_seconds"] == pytest.approx([0.5] * 3)
    assert json.loads(json.dumps(summary.to_dict()))["steps"] == 12


def test_a_real_training(options):
    monitor = copy.deepcopy(ThroughputMonitor())
    assert monitor.summary is None
    fit(compiled(depth=2, **options), monitor, GradualUnfreeze({0: "head", 2: "*"}), batch_size=5, epochs=4)
    summary = monitor.summary
    assert (summary.steps, summary.examples) == (16, 64)
    assert summary.compile_seconds > 10 * summary.step_seconds_median
    assert summary.step_seconds_p95 >= summary.step_seconds_median > 0
    other = ThroughputMonitor()
    other.set_state(monitor.get_state())
    assert other.summary == summary
    fit(compiled(**options), other, epochs=1)
    assert other.summary.epochs == 5


def test_it_starts_anew_and_survives_an_interruption():
    monitor, model = ThroughputMonitor(), compiled()
    with pytest.raises(KeyboardInterrupt):
        fit(model, monitor, Does("on_epoch_end", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)))
    assert monitor.summary.steps == 4
    fit(model, monitor, x=INPUTS[:8], y=TARGETS[:8], epochs=1)
    assert (monitor.summary.steps, monitor.summary.examples) == (2, 8)
