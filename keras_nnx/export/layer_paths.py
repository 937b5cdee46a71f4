"""From a node of a traced graph back to the layer that made it."""

from __future__ import annotations

import re

import keras


def layer_path(model: keras.Model | None, node_name: str) -> str:
    """Return the path of the layer of `model` in whose name scope `node_name` was traced, or `""`.

    Keras opens a name scope for each layer, and TensorFlow appends a number where a scope is opened again: the path
    is found by walking down the layers as far as their names go.
    """
    if model is None:
        return ""
    parts = node_name.split(":")[0].split("/")
    for start, part in enumerate(parts):
        if _matches(part, model.name):
            found = _descend(model, parts[start + 1 :])
            return "/".join([model.name, *found])
    found = _descend(model, parts)
    return "/".join([model.name, *found]) if found else ""


def _descend(layer: keras.layers.Layer, parts: list[str]) -> list[str]:
    for index, part in enumerate(parts):
        for child in getattr(layer, "_layers", []):
            if _matches(part, child.name):
                return [child.name, *_descend(child, parts[index + 1 :])]
    return []


def _matches(part: str, name: str) -> bool:
    return part == name or re.sub(r"_\d+$", "", part) == name
