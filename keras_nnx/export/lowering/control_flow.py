"""Python control flow over tensors, made into operators: an `if` on a sum, a `while` until something is small."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf

_SYMPTOMS = ("as a Python `bool` is not allowed", "Iterating over a symbolic", "as a Python bool is not allowed")
_OWN_PACKAGES = ("keras", "keras_nnx")


def needs_conversion(error: BaseException | None) -> bool:
    """Whether `error`, or what caused it, says that Python asked a tensor for its value while a graph was traced."""
    while error is not None:
        if any(symptom in str(error) for symptom in _SYMPTOMS):
            return True
        error = error.__cause__ or error.__context__
    return False


@contextlib.contextmanager
def converted_calls(model: keras.Model) -> Iterator[None]:
    """Let AutoGraph convert the `call` of every layer that is neither Keras's nor this package's, until the end."""
    changed = []
    try:
        for layer in model._flatten_layers():
            if type(layer).__module__.partition(".")[0] in _OWN_PACKAGES or "call" in vars(layer):
                continue
            converted = functools.partial(_converted, tf.autograph.to_graph(type(layer).call), layer)
            object.__setattr__(layer, "call", converted)
            changed.append(layer)
        yield
    finally:
        for layer in changed:
            object.__delattr__(layer, "call")


def _converted(function: Callable[..., Any], layer: keras.layers.Layer, *inputs: Any, **more: Any) -> Any:
    """Run what was converted while a graph is traced; step by step, the layer is itself."""
    return type(layer).call(layer, *inputs, **more) if tf.executing_eagerly() else function(layer, *inputs, **more)
