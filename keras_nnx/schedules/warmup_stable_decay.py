"""Up, along, and down."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from keras_nnx import _checks
from keras_nnx.schedules._schedule import WarmedSchedule, share_of
from keras_nnx.schedules.exponential_decay import lower_end

_OWNER = "WarmupStableDecay"


@keras.saving.register_keras_serializable(package="keras_nnx")
class WarmupStableDecay(WarmedSchedule):
    """Raises the learning rate, holds it for most of the training, and lets it fall at the end.

    Use it where the length of training is decided late: what was trained on the plateau can go on from there, or be
    brought to its end by the decay at any time.

    Args:
        learning_rate: The rate of the plateau.
        warmup_steps: Steps in which the rate rises on a straight line from `warmup_from`.
        stable_steps: Steps of the plateau.
        decay_steps: Steps of the decay; the rate stays at `end` behind them.
        end: The lowest rate.
        shape: How it falls: `"linear"`, `"cosine"`, or `"sqrt"`, fast at first, with the square root of the time.
        warmup_from: The rate at the first step.

    Raises:
        ValueError: If a number is out of its range, or the shape is unknown.

    Example:
        >>> import keras_nnx as nnx
        >>> nnx.schedules.WarmupStableDecay(1.0, warmup_steps=2, stable_steps=2, decay_steps=2).values(7).tolist()
        [0.0, 0.5, 1.0, 1.0, 1.0, 0.5, 0.0]

    Source:
        Hu et al., "MiniCPM: Unveiling the Potential of Small Language Models with Scalable Training Strategies" (2024),
        section 4; the square root is that of Hägele et al., "Scaling Laws and Compute-Optimal Training Beyond Fixed
        Training Durations" (2024).
    """

    def __init__(
        self,
        learning_rate: float,
        warmup_steps: int,
        stable_steps: int,
        decay_steps: int,
        end: float = 0.0,
        shape: str = "linear",
        warmup_from: float = 0.0,
    ) -> None:
        super().__init__(learning_rate, warmup_steps, warmup_from)
        self.stable_steps = _checks.at_least_zero(_OWNER, "stable_steps", stable_steps)
        self.decay_steps = _checks.positive_integer(_OWNER, "decay_steps", decay_steps)
        self.end = lower_end(_OWNER, end, learning_rate)
        self.shape = _checks.one_of(_OWNER, "shape", shape, ("linear", "cosine", "sqrt"))

    def _decayed(self, step: Any) -> Any:
        passed = share_of(ops.maximum(step - self.stable_steps, 0), self.decay_steps)
        left = {
            "linear": lambda: 1 - passed,
            "cosine": lambda: 0.5 * (1 + ops.cos(math.pi * passed)),
            "sqrt": lambda: 1 - ops.sqrt(passed),
        }[self.shape]()
        return self.end + (self.learning_rate - self.end) * left
