"""What makes a class of this package one that Keras saves, loads and freezes as its own."""

from __future__ import annotations

import functools
from typing import Any, TypeVar

import keras

_Class = TypeVar("_Class", bound=type)


def register(cls: _Class) -> _Class:
    """Register a layer as `keras_nnx>Name`, and keep it frozen if it was.

    Keras notes in a configuration that a layer does not train, but makes the layers inside it anew, when it is built,
    as layers that do. Whatever loads, clones or copies a frozen layer would get one that trains.
    """
    build = cls.build  # type: ignore[attr-defined]

    @functools.wraps(build)
    def build_and_keep(self: Any, *shapes: Any, **named_shapes: Any) -> None:
        build(self, *shapes, **named_shapes)
        if not self.trainable:
            for layer in self._flatten_layers(include_self=False):
                layer.trainable = False

    cls.build = build_and_keep  # type: ignore[attr-defined]
    return keras.saving.register_keras_serializable(package="keras_nnx")(cls)
