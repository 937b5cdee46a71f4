"""What all schedules share: whole steps, a warm-up, a configuration, and a look at their values."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_nnx import _checks, _figures

# The steps of a run are counted in integers, which JAX has in 32 bits only.
LAST_STEP = 2**31 - 1


class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """A function from the step to a number, computed in float32 from steps that stay integers as long as they can."""

    def __call__(self, step: Any) -> Any:
        """Return the value at a step, counted from 0."""
        return self._value(whole(step))

    def _value(self, step: Any) -> Any:
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """Return what was passed."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def values(self, steps: int) -> np.ndarray:
        """Return the values at the steps from 0 up to `steps`, without the last.

        Args:
            steps: How many.
        """
        return values(self, steps)

    def plot(self, path: str | Path, steps: int) -> Path:
        """Draw the values over the steps, and return where the picture is.

        Args:
            path: The file, such as `"rate.png"`.
            steps: How many steps, from the first.
        """
        return plot(self, path, steps)


class WarmedSchedule(Schedule):
    """A schedule that begins with a linear rise to its first value; its own steps are counted from the end of that."""

    learning_rate: float

    def __init__(self, learning_rate: float, warmup_steps: int, warmup_from: float) -> None:
        owner = type(self).__name__
        self.learning_rate = _checks.positive_number(owner, "learning_rate", learning_rate)
        self.warmup_steps = _checks.at_least_zero(owner, "warmup_steps", warmup_steps)
        self.warmup_from = _checks.at_least(owner, "warmup_from", warmup_from, 0)

    def _value(self, step: Any) -> Any:
        if not self.warmup_steps:
            return self._decayed(step)
        decayed = self._decayed(ops.maximum(step - self.warmup_steps, 0))
        return ops.where(step < self.warmup_steps, self._rise(step), decayed)

    def _rise(self, step: Any) -> Any:
        share = as_float(ops.minimum(step, self.warmup_steps)) / self.warmup_steps
        return self.warmup_from + (self.learning_rate - self.warmup_from) * share

    def _decayed(self, step: Any) -> Any:
        raise NotImplementedError


def whole(step: Any) -> Any:
    """Return a step as a tensor of integers if it is one, else as float32."""
    step = ops.convert_to_tensor(step)
    return step if keras.backend.standardize_dtype(step.dtype).startswith(("int", "uint")) else as_float(step)


def as_float(step: Any) -> Any:
    """Return steps in float32, which is what schedules compute in."""
    return ops.cast(step, "float32")


def share_of(step: Any, steps: int) -> Any:
    """Return how much of `steps` has passed, from 0 to 1."""
    return as_float(ops.minimum(step, steps)) / steps


def values(schedule: Any, steps: int) -> np.ndarray:
    """Return what a schedule gives at the steps from 0 up to `steps`, without the last.

    Args:
        schedule: Any `LearningRateSchedule`, of Keras too.
        steps: How many.

    Returns:
        The values, in float32.

    Raises:
        ValueError: If `steps` is not a positive integer.

    Example:
        >>> import keras_nnx as nnx
        >>> schedule = nnx.schedules.StepDecay(0.5, every=2, factor=0.5)
        >>> nnx.schedules.values(schedule, 5).tolist()
        [0.5, 0.5, 0.25, 0.25, 0.125]
    """
    count = _checks.positive_integer("values", "steps", steps)
    found = [ops.convert_to_numpy(schedule(ops.convert_to_tensor(step, dtype="int32"))) for step in range(count)]
    return np.asarray(found, "float32")


def plot(schedule: Any, path: str | Path, steps: int) -> Path:
    """Draw what a schedule gives over the steps of a run.

    Args:
        schedule: Any `LearningRateSchedule`, of Keras too.
        path: The file, such as `"rate.png"`; its ending says which format.
        steps: How many steps, from the first. Long runs are drawn at a thousand of them.

    Returns:
        Where the picture is.

    Raises:
        ImportError: If matplotlib is missing.
        ValueError: If `steps` is not a positive integer.
    """
    count = _checks.positive_integer("plot", "steps", steps)
    figure = _figures.new_figure()
    shown = np.unique(np.linspace(0, count - 1, min(count, 1000)).astype("int32"))
    panel = figure.subplots()
    panel.plot(shown, [float(schedule(ops.convert_to_tensor(step))) for step in shown])
    panel.set(xlabel="step", ylabel="value", title=type(schedule).__name__)
    panel.grid(alpha=0.3)
    return _figures.save(figure, path)
