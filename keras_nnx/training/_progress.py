"""What changes in a model while it is trained: what has to be saved of it, and put back."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from keras_nnx.callbacks import _rates
from keras_nnx.schedules import Scaled


def variables(model: Any) -> list[Any]:
    """Return all variables that change in a training: weights, seeds, and those of every optimizer."""
    optimizer = getattr(model, "optimizer", None)
    if optimizer is not None and not optimizer.built:  # else its variables come with the first step
        optimizer.build(model.trainable_variables)
    metrics = {id(variable) for variable in model.metrics_variables}
    kept = [variable for variable in model.variables if id(variable) not in metrics]
    return [*kept, *(variable for optimizer in _optimizers(model) for variable in optimizer.variables)]


def values(model: Any) -> list[dict[str, Any]]:
    """Return the path and the value of each of them."""
    return [
        {"path": variable.path, "value": np.asarray(keras.ops.convert_to_numpy(variable.value))}
        for variable in variables(model)
    ]


def rates(model: Any) -> list[dict[str, Any] | None]:
    """Return what was set at the schedules of the optimizers: no variable of theirs holds it."""
    found = []
    for leaf in _leaves(model):
        rate = leaf._learning_rate
        found.append({"factor": rate.factor, "offset": rate.offset} if isinstance(rate, Scaled) else None)
    return found


def set_rates(model: Any, saved: list[dict[str, Any] | None]) -> None:
    """Set it again, once the callbacks that change rates have begun."""
    changed = False
    for leaf, entry in zip(_leaves(model), saved, strict=True):
        if entry is None:
            continue
        if not isinstance(leaf._learning_rate, Scaled):  # the callback that made it one is no longer there
            leaf.learning_rate = Scaled(leaf._learning_rate)
            changed = True
        leaf._learning_rate.factor, leaf._learning_rate.offset = entry["factor"], entry["offset"]
    if changed:
        model.make_train_function(force=True)
    else:
        _rates.follow(model)


def _optimizers(model: Any) -> list[Any]:
    return [value for _, value in sorted(vars(model).items()) if isinstance(value, keras.optimizers.Optimizer)]


def _leaves(model: Any) -> list[Any]:
    return [leaf for optimizer in _optimizers(model) for leaf in _rates.leaves(optimizer)]
