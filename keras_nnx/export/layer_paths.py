"""From a node of a traced graph back to the layer that made it."""

from __future__ import annotations

import re

import keras


def layer_path(model: keras.Model | None, node_name: str) -> str:
    """Return the path of the layer of `model` in whose name scope `node_name` was traced, or `""`.

    Keras opens a name scope for each layer, and TensorFlow appends a number where a scope is opened again: the path
    is found by walking down the layers as far as their names go. Keras may open every scope twice, so that `dense_1`
    is the layer `dense`: whether it did shows in the scope of the model.
    """
    if model is None:
        return ""
    parts = node_name.split(":")[0].split("/")
    for start, part in enumerate(parts):
        if part == model.name or _numbered(part) == model.name:
            found = _descend(model, parts[start + 1 :], numbered=part != model.name)
            return "/".join([model.name, *found])
    found = _descend(model, parts, numbered=False)
    return "/".join([model.name, *found]) if found else ""


def _descend(layer: keras.layers.Layer, parts: list[str], *, numbered: bool) -> list[str]:
    children = {child.name: child for child in reversed(getattr(layer, "_layers", []))}
    for index, part in enumerate(parts):
        names = (_numbered(part), part) if numbered else (part, _numbered(part))
        for name in names:
            if name in children:
                return [name, *_descend(children[name], parts[index + 1 :], numbered=numbered)]
    return []


def _numbered(part: str) -> str:
    """Return a scope's name without the number that TensorFlow appended."""
    return re.sub(r"_\d+$", "", part)
