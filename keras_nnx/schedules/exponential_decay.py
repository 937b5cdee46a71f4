"""A constant ratio."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_nnx import _checks
from keras_nnx.schedules._schedule import WarmedSchedule, as_float


@keras.saving.register_keras_serializable(package="keras_nnx")
class ExponentialDecay(WarmedSchedule):
    """Lets the learning rate fall by the same ratio in equal times, down to a lowest value.

    To `keras.optimizers.schedules.ExponentialDecay` it adds the warm-up and the lowest value.

    Args:
        learning_rate: The first rate behind the warm-up.
        decay_steps: Steps in which the rate falls by `decay_rate`; counted from the end of the warm-up.
        decay_rate: The ratio, over 0 and at most 1.
        end: The lowest rate, at least 0.
        warmup_steps: Steps in which the rate rises on a straight line.
        warmup_from: The rate at the first of them.

    Raises:
        ValueError: If a number is out of its range.

    Example:
        >>> import keras_nnx as nnx
        >>> nnx.schedules.ExponentialDecay(1.0, decay_steps=1, decay_rate=0.5, end=0.25).values(4).tolist()
        [1.0, 0.5, 0.25, 0.25]
    """

    def __init__(
        self,
        learning_rate: float,
        decay_steps: int,
        decay_rate: float,
        end: float = 0.0,
        warmup_steps: int = 0,
        warmup_from: float = 0.0,
    ) -> None:
        super().__init__(learning_rate, warmup_steps, warmup_from)
        self.decay_steps = _checks.positive_integer("ExponentialDecay", "decay_steps", decay_steps)
        self.decay_rate = _checks.share("ExponentialDecay", "decay_rate", decay_rate)
        self.end = lower_end("ExponentialDecay", end, learning_rate)

    def _decayed(self, step: Any) -> Any:
        falls = as_float(step) / self.decay_steps
        return ops.maximum(self.learning_rate * ops.power(float(self.decay_rate), falls), self.end)


def lower_end(owner: str, end: Any, learning_rate: float) -> float:
    """Return `end` if a rate can fall to it, or say what is wrong."""
    if _checks.at_least(owner, "end", end, 0) > learning_rate:
        raise ValueError(
            f"{owner}(end={end!r}) is over learning_rate={learning_rate!r}, and a rate that decays cannot rise to it: "
            f"use an end of at most {learning_rate!r}."
        )
    return end
