"""A factor at regular steps."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_nnx import _checks
from keras_nnx.schedules._schedule import WarmedSchedule, as_float


@keras.saving.register_keras_serializable(package="keras_nnx")
class StepDecay(WarmedSchedule):
    """Multiplies the learning rate by a factor every so many steps.

    Use it where a recipe says "divide by ten every thirty epochs". `keras.optimizers.schedules.ExponentialDecay` with
    `staircase=True` does so too, without a warm-up, and miscounts past 16,777,216 steps.

    Args:
        learning_rate: The first rate behind the warm-up.
        every: Steps from one decrease to the next; steps are counted from the end of the warm-up.
        factor: What the rate is multiplied by, over 0 and at most 1.
        warmup_steps: Steps in which the rate rises on a straight line.
        warmup_from: The rate at the first of them.

    Raises:
        ValueError: If a number is out of its range.

    Example:
        >>> import keras_nnx as nnx
        >>> nnx.schedules.StepDecay(1.0, every=2, factor=0.5, warmup_steps=2).values(6).tolist()
        [0.0, 0.5, 1.0, 1.0, 0.5, 0.5]
    """

    def __init__(
        self, learning_rate: float, every: int, factor: float = 0.1, warmup_steps: int = 0, warmup_from: float = 0.0
    ) -> None:
        super().__init__(learning_rate, warmup_steps, warmup_from)
        self.every = _checks.positive_integer("StepDecay", "every", every)
        self.factor = _checks.share("StepDecay", "factor", factor)

    def _decayed(self, step: Any) -> Any:
        return self.learning_rate * ops.power(float(self.factor), as_float(ops.floor_divide(step, self.every)))
