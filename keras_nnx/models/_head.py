"""The end that the image models share: pooling and a classifier."""

from __future__ import annotations

from typing import Any

import keras

from keras_nnx import _checks


def classify(owner: str, features: Any, classes: int, activation: Any) -> Any:
    """Return class scores for `features` (b, d); computed in float32 whatever the dtype policy."""
    _checks.positive_integer(owner, "classes", classes)
    logits = keras.layers.Dense(classes, name="logits")(features)
    return keras.layers.Activation(activation, dtype="float32", name="predictions")(logits)


def choose(owner: str, pooling: str | None, known: dict[str | None, Any]) -> Any:
    """Return the entry of `known` for `pooling`, or say which there are."""
    if pooling not in known:
        names = ", ".join(repr(name) for name in known)
        raise ValueError(f"{owner}(pooling={pooling!r}) is unknown: choose one of {names}.")
    return known[pooling]
