"""The names of the loss and the metrics of a space, as the history of a training has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import keras_tuner

from keras_nnx.tuning.hypermodel import Space
from keras_nnx.tuning.searches.data import SearchData


def metric_names(space: Space, data: SearchData) -> tuple[str, ...] | None:
    """Return what a history may hold, without `val_`; None where that is not known before a model is trained.

    Keras puts the names of outputs before those of losses and metrics if there are several of them. What it calls
    them then, it is asked: the first model of the space looks at two examples.

    Args:
        space: What is searched.
        data: What it is trained on.
    """
    metrics = space.recipe.metrics
    single = all(len(keras.tree.flatten(targets)) == 1 for targets in _targets(data))
    listed = isinstance(metrics, Sequence) and all(isinstance(entry, str) or callable(entry) for entry in metrics)
    if single and listed:
        return ("loss", *map(_name, metrics))
    keras.backend.clear_session()
    try:
        model = space.build(keras_tuner.HyperParameters())
    except (Exception, SystemExit):  # noqa: BLE001  (the first trial comes to the same, and says so)
        return None
    return tuple(model.evaluate(*_few(data.validation), return_dict=True, verbose=0))


def _targets(data: SearchData) -> list[Any]:
    if isinstance(data.train, tuple):
        return [data.train[1]]
    spec = getattr(data.train, "element_spec", None)
    return [spec[1]] if isinstance(spec, tuple) and len(spec) > 1 else []


def _few(validation: Any) -> tuple[Any, ...]:
    if isinstance(validation, tuple):
        return tuple(keras.tree.map_structure(lambda value: value[:2], part) for part in validation)
    return (validation.take(1),) if hasattr(validation, "take") else (validation,)


def _name(metric: Any) -> str:
    return metric if isinstance(metric, str) else getattr(metric, "name", None) or metric.__name__
