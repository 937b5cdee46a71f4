"""Another schedule, times a factor that may change while it is in use."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_nnx import _checks
from keras_nnx.schedules._schedule import Schedule
from keras_nnx.schedules.joined import as_schedule, check_schedule


@keras.saving.register_keras_serializable(package="keras_nnx")
class Scaled(Schedule):
    """Multiplies what another schedule gives, and counts its steps from where you say.

    Use it to run a schedule that you have at another height, to start it anew, or to go on in the middle of it.
    `factor` and `offset` can be assigned to at any time: on the TensorFlow backend a compiled training step follows at
    once, without being compiled again (on JAX it has to be: `model.make_train_function(force=True)`).
    `ReduceOnPlateau` and `WarmRestarts` of `keras_nnx.callbacks` put one around the schedule of an optimizer; it is
    saved with the model, as it is by then.

    Args:
        schedule: The schedule.
        factor: What its values are multiplied by, at least 0.
        offset: The step at which it starts; before, it gives what it has for its first step. If it is negative, so
            many of its steps have been done already.

    Raises:
        ValueError: If something is no schedule, or a number is out of its range.

    Example:
        >>> import keras_nnx as nnx
        >>> schedule = nnx.schedules.Scaled(nnx.schedules.PolynomialDecay(1.0, 4), factor=0.5, offset=1)
        >>> schedule.values(4).tolist()
        [0.5, 0.5, 0.375, 0.25]
        >>> schedule.factor = 1.0
        >>> schedule.values(4).tolist()
        [1.0, 1.0, 0.75, 0.5]
    """

    def __init__(self, schedule: Any, factor: float = 1.0, offset: int = 0) -> None:
        self.schedule = check_schedule("Scaled", "schedule", schedule)
        self._numbers = {
            "factor": keras.Variable(1.0, dtype="float32", trainable=False, name="factor"),
            "offset": keras.Variable(0, dtype="int32", trainable=False, name="offset"),
        }
        self.factor, self.offset = factor, offset

    def _value(self, step: Any) -> Any:
        passed = ops.maximum(step - ops.cast(self._numbers["offset"], step.dtype), 0)
        return ops.cast(self.schedule(passed), "float32") * self._numbers["factor"]

    @property
    def factor(self) -> float:
        """What the values are multiplied by."""
        return self._factor

    @factor.setter
    def factor(self, value: float) -> None:
        self._factor = _checks.at_least("Scaled", "factor", value, 0)
        self._numbers["factor"].assign(value)

    @property
    def offset(self) -> int:
        """The step at which the schedule starts."""
        return self._offset

    @offset.setter
    def offset(self, value: int) -> None:
        self._offset = _checks.integer("Scaled", "offset", value)
        self._numbers["offset"].assign(value)

    def get_config(self) -> dict[str, Any]:
        """Return what was passed, or was set since."""
        schedule = keras.saving.serialize_keras_object(self.schedule)
        return {"schedule": schedule, "factor": self.factor, "offset": self.offset}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Scaled:
        """Return the schedule of a configuration.

        Args:
            config: What `get_config` returned.
        """
        return cls(**{**config, "schedule": as_schedule(config["schedule"])})
