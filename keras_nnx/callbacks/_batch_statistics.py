"""Moving statistics of batch normalisations, estimated anew."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import keras
import numpy as np

from keras_nnx.callbacks._snapshot import Snapshot

_BATCH = 32


def layers_of(model: Any) -> list[Any]:
    """Return the batch normalisations of a model whose statistics move."""
    found = model._flatten_layers(include_self=False)
    return [layer for layer in found if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable]


def estimate(model: Any, data: Any, batches: int | None) -> None:
    """Set the moving statistics of all batch normalisations to the mean over the batches of some data.

    The model answers as in training, its dropout included, since that is what its normalisations see; random states and
    everything else are put back.
    """
    layers = layers_of(model)
    statistics = {id(v) for layer in layers for v in (layer.moving_mean, layer.moving_variance)}
    others = Snapshot(variable for variable in model.non_trainable_variables if id(variable) not in statistics)
    momenta = [layer.momentum for layer in layers]
    try:
        for seen, inputs in enumerate(_inputs(data, batches)):
            for layer in layers:
                # The weight of what was seen before: all batches count the same in the end.
                layer.momentum = seen / (seen + 1)
            model(inputs, training=True)
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
        others.restore()


def _inputs(data: Any, batches: int | None) -> Iterator[Any]:
    """Yield the inputs of batches: of an array its parts, of anything else what it yields."""
    if isinstance(data, np.ndarray):
        data = [data[start : start + _BATCH] for start in range(0, len(data), _BATCH)]
    elif isinstance(data, keras.utils.PyDataset):
        data = [data[index] for index in range(len(data) if batches is None else min(batches, len(data)))]
    for count, batch in enumerate(data):
        if batches is not None and count >= batches:
            return
        yield batch[0] if isinstance(batch, tuple) else batch


def check_data(owner: str, data: Any) -> Any:
    """Return `data` if it can be gone through again and again, or say what is wrong."""
    if data is None or isinstance(data, keras.utils.PyDataset):
        return data
    if not isinstance(data, Iterable) or iter(data) is data:
        raise ValueError(
            f"{owner}(data=...) is {type(data).__name__}, which cannot be gone through more than once: use an array, a "
            f"list of batches, or a data set."
        )
    return data
