"""Learning rates that a callback changes while a compiled training step uses them."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from keras_nnx.schedules import Scaled

_Schedule = keras.optimizers.schedules.LearningRateSchedule


def leaves(optimizer: Any) -> list[Any]:
    """Return the optimizers that hold a learning rate: those inside one that scales, or one that splits."""
    if getattr(optimizer, "optimizers", None):
        return [leaf for part in optimizer.optimizers for leaf in leaves(part)]
    inner = getattr(optimizer, "inner_optimizer", None)
    return [optimizer] if inner is None else leaves(inner)


def current(optimizer: Any) -> float:
    """Return the learning rate of the next step."""
    return float(np.asarray(keras.ops.convert_to_numpy(optimizer.learning_rate)))


def make_adjustable(owner: str, model: Any) -> list[Any]:
    """Put a `Scaled` around each schedule that has none, and return the optimizers that hold a rate.

    Raises:
        ValueError: If a rate is a function that is no schedule.
    """
    found, changed = leaves(model.optimizer), False
    for optimizer in found:
        rate = optimizer._learning_rate
        if isinstance(rate, _Schedule) and not isinstance(rate, Scaled):
            optimizer.learning_rate = Scaled(rate)
            changed = True
        elif not isinstance(rate, _Schedule | keras.Variable):
            raise ValueError(
                f"{owner} cannot change the learning rate of {optimizer.name!r}, which is the function {rate!r}: make "
                f"it a LearningRateSchedule, or a number."
            )
    if changed:
        model.make_train_function(force=True)
    return found


def scale(model: Any, optimizer: Any, factor: float) -> None:
    """Multiply the rate of an optimizer that was made adjustable."""
    rate = optimizer._learning_rate
    if isinstance(rate, Scaled):
        rate.factor *= factor
        follow(model)
    else:
        rate.assign(rate * factor)


def follow(model: Any) -> None:
    """Let the training step know of what was assigned to a schedule: only TensorFlow's reads it at each step."""
    if keras.backend.backend() != "tensorflow":
        model.make_train_function(force=True)


def as_logs(optimizers: list[Any]) -> dict[str, float]:
    """Return the rates under the names that Keras uses."""
    if len(optimizers) == 1:
        return {"learning_rate": current(optimizers[0])}
    return {f"learning_rate_{optimizer.name}": current(optimizer) for optimizer in optimizers}
