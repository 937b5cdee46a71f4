"""Gradient descent whose momentum follows a schedule."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

_LearningRateSchedule = keras.optimizers.schedules.LearningRateSchedule


@keras.saving.register_keras_serializable(package="keras_nnx")
class ScheduledSGD(keras.optimizers.SGD):
    """Gradient descent with a momentum that may be a schedule, as the learning rate may be in any optimizer.

    Use it with `keras_nnx.schedules.OneCycle` and `OneCycleMomentum`. `keras.optimizers.SGD` takes a number, which
    a compiled training step keeps for good; with a number, both are the same. Steps are counted from 0.

    Args:
        learning_rate: A number, or a schedule.
        momentum: A number from 0 to 1, or a schedule of such numbers.
        nesterov: Whether the gradient is taken ahead, along the momentum.
        **kwargs: `weight_decay`, `clipnorm` and the other arguments of `keras.optimizers.SGD`.

    Raises:
        ValueError: If the momentum is neither a number from 0 to 1 nor a schedule.

    Example:
        >>> import keras_nnx as nnx
        >>> momentum = nnx.schedules.OneCycleMomentum(steps=100)
        >>> optimizer = nnx.optimizers.ScheduledSGD(nnx.schedules.OneCycle(0.5, steps=100), momentum)
        >>> round(float(optimizer.current_momentum), 4)
        0.95

    Source:
        Sutskever et al., "On the importance of initialization and momentum in deep learning" (2013), equations 1 to 4;
        a momentum that falls while the rate rises, Smith, "A disciplined approach to neural network hyper-parameters"
        (2018), section 4.3.
    """

    def __init__(self, learning_rate: Any = 0.01, momentum: Any = 0.9, nesterov: bool = False, **kwargs: Any) -> None:
        scheduled = isinstance(momentum, _LearningRateSchedule)
        number = isinstance(momentum, int | float) and not isinstance(momentum, bool)
        if not scheduled and not (number and 0 <= momentum <= 1):
            raise ValueError(f"ScheduledSGD(momentum={momentum!r}) needs a number from 0 to 1, or a schedule.")
        super().__init__(learning_rate, momentum=0.9 if scheduled else float(momentum), nesterov=nesterov, **kwargs)
        if scheduled:
            self.momentum = momentum

    @property
    def current_momentum(self) -> Any:
        """The momentum of the next step."""
        scheduled = isinstance(self.momentum, _LearningRateSchedule)
        return self.momentum(self._iterations) if scheduled else self.momentum

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Move one variable.

        Args:
            gradient: Its gradient.
            variable: The variable.
            learning_rate: The rate of this step.
        """
        if not isinstance(self.momentum, _LearningRateSchedule):
            super().update_step(gradient, variable, learning_rate)
            return
        momentum = ops.cast(self.current_momentum, variable.dtype)
        step = ops.cast(gradient, variable.dtype) * ops.cast(learning_rate, variable.dtype)
        velocity = self.momentums[self._get_variable_index(variable)]
        self.assign(velocity, velocity * momentum - step)
        self.assign_add(variable, velocity * momentum - step if self.nesterov else velocity)

    def get_config(self) -> dict[str, Any]:
        """Return what was passed."""
        config = super().get_config()
        if isinstance(self.momentum, _LearningRateSchedule):
            config["momentum"] = keras.saving.serialize_keras_object(self.momentum)
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> ScheduledSGD:
        """Return the optimizer of a configuration.

        Args:
            config: What `get_config` returned.
            custom_objects: Classes that Keras does not know, by name.
        """
        config = dict(config)
        if isinstance(config.get("momentum"), dict):
            config["momentum"] = keras.saving.deserialize_keras_object(config["momentum"], custom_objects)
        return super().from_config(config, custom_objects)
