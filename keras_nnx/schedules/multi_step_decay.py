"""A factor at given steps."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_nnx import _checks
from keras_nnx.schedules._schedule import WarmedSchedule, as_float


@keras.saving.register_keras_serializable(package="keras_nnx")
class MultiStepDecay(WarmedSchedule):
    """Multiplies the learning rate by a factor at each of some steps.

    Use it where a recipe lists its milestones. `keras.optimizers.schedules.PiecewiseConstantDecay` wants every rate
    spelt out, changes one step later, and has no warm-up.

    Args:
        learning_rate: The first rate behind the warm-up.
        boundaries: The steps, in rising order, from which on the rate is smaller; counted from the end of the warm-up.
        factor: What the rate is multiplied by at each, over 0 and at most 1.
        warmup_steps: Steps in which the rate rises on a straight line.
        warmup_from: The rate at the first of them.

    Raises:
        ValueError: If a number is out of its range, or the boundaries do not rise.

    Example:
        >>> import keras_nnx as nnx
        >>> nnx.schedules.MultiStepDecay(1.0, boundaries=[2, 3], factor=0.5).values(5).tolist()
        [1.0, 1.0, 0.5, 0.25, 0.25]
    """

    def __init__(
        self,
        learning_rate: float,
        boundaries: Sequence[int],
        factor: float = 0.1,
        warmup_steps: int = 0,
        warmup_from: float = 0.0,
    ) -> None:
        super().__init__(learning_rate, warmup_steps, warmup_from)
        self.boundaries = rising("MultiStepDecay", boundaries)
        self.factor = _checks.share("MultiStepDecay", "factor", factor)

    def _decayed(self, step: Any) -> Any:
        passed = sum(as_float(step >= boundary) for boundary in self.boundaries)
        return self.learning_rate * ops.power(float(self.factor), passed)


def rising(owner: str, boundaries: Any) -> list[int]:
    """Return `boundaries` if they are positive integers in rising order, or say what is wrong."""
    if not isinstance(boundaries, tuple | list) or not boundaries:
        raise ValueError(f"{owner}(boundaries={boundaries!r}) needs a list of steps, such as [1000, 2000].")
    found = [_checks.positive_integer(owner, "boundaries", boundary) for boundary in boundaries]
    if any(later <= earlier for earlier, later in itertools.pairwise(found)):
        raise ValueError(f"{owner}(boundaries={boundaries!r}) has to rise: put the steps in order, each once.")
    return found
