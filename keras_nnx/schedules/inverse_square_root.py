"""The square root of time, below."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_nnx import _checks
from keras_nnx.schedules._schedule import WarmedSchedule, as_float


@keras.saving.register_keras_serializable(package="keras_nnx")
class InverseSquareRoot(WarmedSchedule):
    """Lets the learning rate fall as one over the square root of the step, without an end.

    Use it for transformers whose length of training is not known beforehand. With `w` warm-up steps, the rate at step
    `t` is `learning_rate * min(t / w, (w / t) ** 0.5)`, which is the schedule of the source with the factors drawn
    together.

    Args:
        learning_rate: The highest rate, at the end of the warm-up.
        warmup_steps: Steps in which the rate rises on a straight line.
        warmup_from: The rate at the first of them.
        time_scale: What takes the place of `w` in the decay: the rate halves in three times so many steps behind the
            warm-up. Default: `warmup_steps`, or 1 without a warm-up.

    Raises:
        ValueError: If a number is out of its range.

    Example:
        >>> import keras_nnx as nnx
        >>> nnx.schedules.InverseSquareRoot(1.0, warmup_steps=2).values(9)[[1, 2, 8]].tolist()
        [0.5, 1.0, 0.5]

    Source:
        Vaswani et al., "Attention Is All You Need" (2017), equation 3.
    """

    def __init__(
        self, learning_rate: float, warmup_steps: int = 0, warmup_from: float = 0.0, time_scale: int | None = None
    ) -> None:
        super().__init__(learning_rate, warmup_steps, warmup_from)
        self.time_scale = _checks.optional_positive_integer("InverseSquareRoot", "time_scale", time_scale)

    def _decayed(self, step: Any) -> Any:
        scale = self.time_scale or max(1, self.warmup_steps)
        return self.learning_rate * ops.rsqrt(1 + as_float(step) / scale)
