"""One rise and one fall, of the rate and, the other way round, of the momentum."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from keras_nnx import _checks
from keras_nnx.schedules._schedule import Schedule, as_float

_SHAPES = ("cosine", "linear")


@keras.saving.register_keras_serializable(package="keras_nnx")
class OneCycle(Schedule):
    """Raises the learning rate once, and lets it fall far below where it began.

    Use it to train in few epochs at a high rate, with `OneCycleMomentum` for the momentum. It gives the values of
    `torch.optim.lr_scheduler.OneCycleLR`, and stays at the last of them.

    Args:
        learning_rate: The highest rate.
        steps: Steps of the whole cycle, at least 2.
        rising_share: The share of them in which the rate rises, over 0 and under 1.
        start_divisor: The highest rate over the first.
        end_divisor: The first rate over the last.
        shape: How it rises and falls: `"cosine"` or `"linear"`.
        three_phase: Whether the fall takes as long as the rise and ends at the first rate, with the rest of the steps
            for the way down from there; else there is one fall to the last rate.

    Raises:
        ValueError: If a number is out of its range, or the phases need more steps.

    Example:
        >>> import keras_nnx as nnx
        >>> schedule = nnx.schedules.OneCycle(1.0, 6, rising_share=0.5, start_divisor=2, end_divisor=50, shape="linear")
        >>> [round(float(value), 4) for value in schedule.values(6)]
        [0.5, 0.75, 1.0, 0.67, 0.34, 0.01]

    Source:
        Smith and Topin, "Super-Convergence: Very Fast Training of Neural Networks Using Large Learning Rates" (2018).
    """

    def __init__(
        self,
        learning_rate: float,
        steps: int,
        rising_share: float = 0.3,
        start_divisor: float = 25.0,
        end_divisor: float = 1e4,
        shape: str = "cosine",
        three_phase: bool = False,
    ) -> None:
        self.learning_rate = _checks.positive_number("OneCycle", "learning_rate", learning_rate)
        self.start_divisor = _checks.at_least("OneCycle", "start_divisor", start_divisor, 1)
        self.end_divisor = _checks.at_least("OneCycle", "end_divisor", end_divisor, 1)
        self.steps, self.rising_share = steps, rising_share
        self.shape = _checks.one_of("OneCycle", "shape", shape, _SHAPES)
        self.three_phase = three_phase
        self._ends = phase_ends("OneCycle", steps, rising_share, three_phase)

    def _value(self, step: Any) -> Any:
        first = self.learning_rate / self.start_divisor
        levels = [first, self.learning_rate, *([first] if self.three_phase else []), first / self.end_divisor]
        return through(step, self._ends, levels, self.shape)


@keras.saving.register_keras_serializable(package="keras_nnx")
class OneCycleMomentum(Schedule):
    """Lowers the momentum while `OneCycle` raises the learning rate, and raises it again afterwards.

    Give it to `keras_nnx.optimizers.ScheduledSGD`, with the arguments of the `OneCycle` beside it.

    Args:
        steps: Steps of the whole cycle, at least 2.
        lowest: The momentum where the rate is highest.
        highest: The momentum at the first step and at the end.
        rising_share: The share of steps in which the rate rises, and the momentum falls.
        shape: `"cosine"` or `"linear"`.
        three_phase: Whether the rate has three phases; the momentum stays high in the third.

    Raises:
        ValueError: If a number is out of its range, or the phases need more steps.

    Example:
        >>> import keras_nnx as nnx
        >>> schedule = nnx.schedules.OneCycleMomentum(5, lowest=0.5, highest=1.0, rising_share=0.6, shape="linear")
        >>> schedule.values(5).tolist()
        [1.0, 0.75, 0.5, 0.75, 1.0]

    Source:
        Smith, "A disciplined approach to neural network hyper-parameters" (2018), section 4.
    """

    def __init__(
        self,
        steps: int,
        lowest: float = 0.85,
        highest: float = 0.95,
        rising_share: float = 0.3,
        shape: str = "cosine",
        three_phase: bool = False,
    ) -> None:
        for name, value in (("lowest", lowest), ("highest", highest)):
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
                raise ValueError(f"OneCycleMomentum({name}={value!r}) needs a number from 0 to 1.")
        if lowest > highest:
            raise ValueError(f"OneCycleMomentum(lowest={lowest!r}, highest={highest!r}) has them the wrong way round.")
        self.steps, self.lowest, self.highest, self.rising_share = steps, lowest, highest, rising_share
        self.shape = _checks.one_of("OneCycleMomentum", "shape", shape, _SHAPES)
        self.three_phase = three_phase
        self._ends = phase_ends("OneCycleMomentum", steps, rising_share, three_phase)

    def _value(self, step: Any) -> Any:
        levels = [self.highest, self.lowest, *([self.highest] if self.three_phase else []), self.highest]
        return through(step, self._ends, levels, self.shape)


def phase_ends(owner: str, steps: Any, rising_share: Any, three_phase: bool) -> list[float]:
    """Return the step at which each phase ends, which need not be whole; each phase has to come behind the last."""
    count = _checks.positive_integer(owner, "steps", steps)
    if not _checks.probability(owner, "rising_share", rising_share) > 0:
        raise ValueError(f"{owner}(rising_share={rising_share!r}) needs a number over 0 and under 1.")
    turn = rising_share * count
    ends = [turn - 1, *([2 * turn - 2] if three_phase else []), count - 1]
    if any(later <= earlier for earlier, later in zip([0, *ends], ends, strict=False)):
        raise ValueError(
            f"{owner}(steps={steps!r}, rising_share={rising_share!r}, three_phase={three_phase!r}) leaves a phase "
            f"without a step: use more steps, or a share nearer to {'a third' if three_phase else 'a half'}."
        )
    return ends


def through(step: Any, ends: list[float], levels: list[float], shape: str) -> Any:
    """Return the value at a step of a curve that goes from level to level, each reached at the end of a phase."""
    moment = as_float(step)
    found = ops.ones_like(moment) * levels[-1]
    for start, end, first, last in reversed(list(zip([0, *ends], ends, levels, levels[1:], strict=False))):
        share = ops.clip((moment - start) / (end - start), 0, 1)
        left = 0.5 * (1 + ops.cos(math.pi * share)) if shape == "cosine" else 1 - share
        found = ops.where(moment <= end, last + (first - last) * left, found)
    return found
