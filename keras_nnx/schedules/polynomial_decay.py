"""A power of the time that is left."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_nnx import _checks
from keras_nnx.schedules._schedule import WarmedSchedule, share_of
from keras_nnx.schedules.exponential_decay import lower_end


@keras.saving.register_keras_serializable(package="keras_nnx")
class PolynomialDecay(WarmedSchedule):
    """Lets the learning rate fall with a power of the share of steps that are left; with power 1, on a straight line.

    To `keras.optimizers.schedules.PolynomialDecay` it adds the warm-up.

    Args:
        learning_rate: The first rate behind the warm-up.
        decay_steps: Steps to the lowest rate, at which it stays; counted from the end of the warm-up.
        end: The lowest rate.
        power: The power, over 0.
        warmup_steps: Steps in which the rate rises on a straight line.
        warmup_from: The rate at the first of them.

    Raises:
        ValueError: If a number is out of its range.

    Example:
        >>> import keras_nnx as nnx
        >>> nnx.schedules.PolynomialDecay(1.0, decay_steps=4, warmup_steps=2).values(7).tolist()
        [0.0, 0.5, 1.0, 0.75, 0.5, 0.25, 0.0]
    """

    def __init__(
        self,
        learning_rate: float,
        decay_steps: int,
        end: float = 0.0,
        power: float = 1.0,
        warmup_steps: int = 0,
        warmup_from: float = 0.0,
    ) -> None:
        super().__init__(learning_rate, warmup_steps, warmup_from)
        self.decay_steps = _checks.positive_integer("PolynomialDecay", "decay_steps", decay_steps)
        self.end = lower_end("PolynomialDecay", end, learning_rate)
        self.power = _checks.positive_number("PolynomialDecay", "power", power)

    def _decayed(self, step: Any) -> Any:
        left = 1 - share_of(step, self.decay_steps)
        return self.end + (self.learning_rate - self.end) * ops.power(left, float(self.power))
