"""Halves of a cosine, one after the other."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_nnx import _checks
from keras_nnx.schedules._schedule import LAST_STEP, WarmedSchedule
from keras_nnx.schedules.exponential_decay import lower_end

_OWNER = "CosineRestarts"
_MOST_CYCLES = 4096


@keras.saving.register_keras_serializable(package="keras_nnx")
class CosineRestarts(WarmedSchedule):
    """Lets the learning rate fall along half a cosine, then starts over, in cycles that may grow longer and lower.

    `keras.optimizers.schedules.CosineDecayRestarts` has no warm-up, and finds its cycle by a logarithm in float32:
    with growing cycles it restarts early or late. Here every cycle has a whole number of steps. With `restarts=0` it is
    one half of a cosine, and then stays low.

    Args:
        learning_rate: The first rate behind the warm-up.
        period: Steps of the first cycle; steps are counted from the end of the warm-up.
        end: The lowest rate, which the end of each cycle comes next to.
        period_factor: How much longer each cycle is than the one before, at least 1; lengths are rounded to steps.
        peak_factor: How high each restart is, times the one before, over 0 and at most 1; never under `end`.
        restarts: How many restarts there are; the rate stays at `end` behind the last cycle. Default: no last one.
        warmup_steps: Steps in which the rate rises on a straight line.
        warmup_from: The rate at the first of them.

    Raises:
        ValueError: If a number is out of its range.

    Example:
        >>> import keras_nnx as nnx
        >>> schedule = nnx.schedules.CosineRestarts(1.0, period=2, period_factor=2, peak_factor=0.5)
        >>> [round(float(value), 3) for value in schedule.values(7)]
        [1.0, 0.5, 0.5, 0.427, 0.25, 0.073, 0.25]

    Source:
        Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts" (2017), equation 5.
    """

    def __init__(
        self,
        learning_rate: float,
        period: int,
        end: float = 0.0,
        period_factor: float = 1.0,
        peak_factor: float = 1.0,
        restarts: int | None = None,
        warmup_steps: int = 0,
        warmup_from: float = 0.0,
    ) -> None:
        super().__init__(learning_rate, warmup_steps, warmup_from)
        self.period = _checks.positive_integer(_OWNER, "period", period)
        self.end = lower_end(_OWNER, end, learning_rate)
        self.period_factor = _checks.at_least(_OWNER, "period_factor", period_factor, 1)
        self.peak_factor = _checks.share(_OWNER, "peak_factor", peak_factor)
        self.restarts = None if restarts is None else _checks.at_least_zero(_OWNER, "restarts", restarts)
        self._starts, self._lengths = self._cycles()

    def _cycles(self) -> tuple[np.ndarray, np.ndarray]:
        """Return where each cycle starts, and how long it is."""
        starts, lengths = [0], [self.period]
        last = _MOST_CYCLES if self.restarts is None else self.restarts
        while len(starts) <= last and self.period_factor > 1 and len(starts) < _MOST_CYCLES:
            start, length = starts[-1] + lengths[-1], round(self.period * self.period_factor ** len(starts))
            if start + length > LAST_STEP:
                break
            starts.append(start)
            lengths.append(length)
        return np.asarray(starts, "int32"), np.asarray(lengths, "int32")

    def _decayed(self, step: Any) -> Any:
        cycle, passed, length = self._place(step)
        top = ops.maximum(self.learning_rate * ops.power(float(self.peak_factor), ops.cast(cycle, "float32")), self.end)
        share = ops.cast(ops.minimum(passed, length), "float32") / ops.cast(length, "float32")
        return self.end + (top - self.end) * 0.5 * (1 + ops.cos(math.pi * share))

    def _place(self, step: Any) -> tuple[Any, Any, Any]:
        """Return which cycle a step is in, how many steps of it have passed, and how many it has."""
        dtype = step.dtype
        if self.period_factor == 1:
            cycle = ops.floor_divide(step, self.period)
            if self.restarts is not None:
                cycle = ops.minimum(cycle, self.restarts)
            return cycle, step - cycle * self.period, ops.cast(self.period, dtype)
        starts, lengths = ops.cast(self._starts, dtype), ops.cast(self._lengths, dtype)
        cycle = ops.sum(ops.cast(ops.expand_dims(step, -1) >= starts, "int32"), axis=-1) - 1
        return cycle, step - ops.take(starts, cycle), ops.take(lengths, cycle)
