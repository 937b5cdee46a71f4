"""Schedules one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_nnx.schedules._schedule import Schedule
from keras_nnx.schedules.multi_step_decay import rising


@keras.saving.register_keras_serializable(package="keras_nnx")
class Joined(Schedule):
    """Runs one schedule after the other, each from its own first step.

    Use it to put any warm-up before any decay, or a long run together from parts.

    Args:
        schedules: At least two schedules, from here, from Keras, or your own if registered with Keras.
        boundaries: The step at which each but the first begins, in rising order.

    Raises:
        ValueError: If something is no schedule, or the boundaries do not rise or are not one fewer.

    Example:
        >>> import keras
        >>> import keras_nnx as nnx
        >>> halves = keras.optimizers.schedules.ExponentialDecay(1.0, 1, 0.5)
        >>> nnx.schedules.Joined([nnx.schedules.PolynomialDecay(4.0, 4), halves], [2]).values(5).tolist()
        [4.0, 3.0, 1.0, 0.5, 0.25]
    """

    def __init__(self, schedules: Sequence[Any], boundaries: Sequence[int]) -> None:
        if not isinstance(schedules, tuple | list) or len(schedules) < 2:
            raise ValueError(f"Joined(schedules={schedules!r}) needs a list of at least two schedules.")
        self.schedules = [check_schedule("Joined", "schedules", schedule) for schedule in schedules]
        self.boundaries = rising("Joined", boundaries)
        if len(self.boundaries) != len(self.schedules) - 1:
            raise ValueError(
                f"Joined got {len(self.schedules)} schedules and {len(self.boundaries)} boundaries: give one fewer "
                f"boundaries than schedules."
            )

    def _value(self, step: Any) -> Any:
        starts = [0, *self.boundaries]
        parts = [s(ops.maximum(step - start, 0)) for s, start in zip(self.schedules, starts, strict=True)]
        found = ops.cast(parts[0], "float32")
        for start, part in zip(starts[1:], parts[1:], strict=True):
            found = ops.where(step >= start, ops.cast(part, "float32"), found)
        return found

    def get_config(self) -> dict[str, Any]:
        """Return what was passed."""
        schedules = [keras.saving.serialize_keras_object(schedule) for schedule in self.schedules]
        return {"schedules": schedules, "boundaries": list(self.boundaries)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Joined:
        """Return the schedule of a configuration.

        Args:
            config: What `get_config` returned.
        """
        schedules = [as_schedule(entry) for entry in config["schedules"]]
        return cls(schedules, config["boundaries"])


def check_schedule(owner: str, name: str, value: Any) -> Any:
    """Return `value` if it is a schedule, or say what it should be."""
    if not isinstance(value, keras.optimizers.schedules.LearningRateSchedule):
        raise ValueError(
            f"{owner}({name}=...) got {value!r}, which is no LearningRateSchedule: for a constant rate use "
            f"keras_nnx.schedules.StepDecay(rate, every=1, factor=1.0)."
        )
    return value


def as_schedule(entry: Any) -> Any:
    """Return a schedule from its configuration, if it is not one already."""
    return keras.saving.deserialize_keras_object(entry) if isinstance(entry, dict) else entry
