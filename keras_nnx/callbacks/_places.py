"""Where the weights of a model are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Place = tuple[tuple[str, ...], tuple[Any, ...], Any]


def places(layer: Any, names: tuple[str, ...] = (), around: tuple[Any, ...] = ()) -> Iterator[Place]:
    """Yield the layers that have weights themselves, with the names that lead to them and the layers around them."""
    for child in layer._flatten_layers(recursive=False, include_self=False):
        path = (*names, child.name)
        if child._trainable_variables or child._non_trainable_variables:
            yield path, (*around, layer), child
        yield from places(child, path, (*around, layer))


def named_layers(layer: Any, names: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Yield all layers inside a layer with the names that lead to them; a layer's own path may be unknown."""
    for child in layer._flatten_layers(recursive=False, include_self=False):
        path = (*names, child.name)
        yield "/".join(path), child
        yield from named_layers(child, path)
