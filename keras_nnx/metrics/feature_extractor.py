"""A classifier without its head."""

from __future__ import annotations

import difflib
from typing import Any, NamedTuple

import keras


class _Call(NamedTuple):
    layer: Any
    node: Any  # which of the calls of the layer it is


def feature_extractor(model: Any, layer: str | None = None) -> Any:
    """Return the part of a model that makes features of images, for the metrics of this room.

    The weights are those of the model, not a copy: train the model and the features change.

    Args:
        model: A functional or sequential model, built.
        layer: The layer whose output the features are. A path such as `"backbone/pool"` names a layer of a model inside
            the model. Default: what goes into the last layer with weights, which has to be a `Dense`: the
            classification head. It is looked for in a model inside the model, too.

    Returns:
        A `keras.Model` from the inputs of the model to features.

    Raises:
        ValueError: If the model is not built or its layers are not connected, no layer has that name, it is called more
            than once or has several outputs, or the model does not end in one `Dense`.

    Example:
        >>> import keras_nnx as nnx
        >>> model = nnx.models.ResNet((8, 8, 1), classes=10, filters=(4, 8), blocks=(1, 1))
        >>> nnx.metrics.feature_extractor(model).output_shape
        (None, 8)
        >>> nnx.metrics.feature_extractor(model, "stage_1_block_1").output_shape
        (None, 8, 8, 4)
    """
    if not isinstance(model, keras.Model) or not getattr(model, "outputs", None):
        raise ValueError(
            f"feature_extractor received {getattr(model, 'name', model)!r}, a {type(model).__name__} whose layers are "
            f"not connected to each other: build a Sequential first; of another model, give the metric a function from "
            f"images to features."
        )
    return _before_head(model, "") if layer is None else _up_to(model, str(layer).split("/"), "")


def _before_head(model: Any, prefix: str) -> Any:
    heads = _heads(model)
    if len(heads) == 1:
        ((head, node),) = heads
        if isinstance(head, keras.layers.Dense):
            return _part(model, node.input_tensors[0])
        if isinstance(head, keras.Model) and getattr(head, "outputs", None):
            return _part(model, _before_head(head, f"{prefix}{head.name}/")(_inputs(node)))
    ends = ", ".join(f"{type(head).__name__} {prefix + head.name!r}" for head, _ in heads) or "no layer with weights"
    raise ValueError(
        f"feature_extractor({model.name!r}) expects a model whose last layer with weights is one Dense, but it ends in "
        f"{ends}: name the layer whose output the features are, one of {_listed(model, prefix)}."
    )


def _up_to(model: Any, names: list[str], prefix: str) -> Any:
    path = prefix + "/".join(names)
    calls = [call for call in _calls(model) if call.layer.name == names[0]]
    if not calls:
        raise ValueError(
            f"feature_extractor(layer={path!r}) names no layer of {model.name!r}: choose one of "
            f"{_listed(model, prefix, names[0])}."
        )
    if len(calls) > 1:
        raise ValueError(
            f"feature_extractor(layer={path!r}) is called {len(calls)} times in {model.name!r}, and has an output for "
            f"each call: name another layer."
        )
    ((found, node),) = calls
    if len(names) > 1:
        if not isinstance(found, keras.Model) or not getattr(found, "outputs", None):
            raise ValueError(
                f"feature_extractor(layer={path!r}) leads into a layer: {prefix + names[0]!r} is a "
                f"{type(found).__name__} and no model whose layers are connected to each other."
            )
        return _part(model, _up_to(found, names[1:], f"{prefix}{names[0]}/")(_inputs(node)))
    if len(node.output_tensors) != 1:
        raise ValueError(
            f"feature_extractor(layer={path!r}) has {len(node.output_tensors)} outputs: name a layer with one."
        )
    return _part(model, node.output_tensors[0])


def _part(model: Any, features: Any) -> Any:
    inputs = model.inputs if isinstance(model, keras.Sequential) else model.input
    return keras.Model(_plain(inputs), features, name=f"{model.name}_features")


def _inputs(node: Any) -> Any:
    """Return what a model was called on, in the structure that it had."""
    return _plain(node.arguments.args[0] if node.arguments.args else node.arguments.kwargs["inputs"])


def _plain(inputs: Any) -> Any:
    """Return the one entry of a list of one: Keras warns where one side has a list and the other none."""
    return inputs[0] if isinstance(inputs, list | tuple) and len(inputs) == 1 else inputs


def _calls(model: Any, until_weights: bool = False) -> list[_Call]:
    """Return the calls of layers, the last one first; none behind one with weights, if so."""
    tensors, found = list(model.outputs), {}
    while tensors:
        layer, index, _ = tensors.pop(0)._keras_history
        node = layer._inbound_nodes[index]
        if id(node) not in found:
            found[id(node)] = _Call(layer, node)
            if not (until_weights and getattr(layer, "weights", None)):
                tensors.extend(node.input_tensors)
    return list(found.values())


def _heads(model: Any) -> list[_Call]:
    """Return the calls of layers with weights that are next to the outputs."""
    return [call for call in _calls(model, until_weights=True) if getattr(call.layer, "weights", None)]


def _listed(model: Any, prefix: str, near: str = "") -> str:
    known = list(dict.fromkeys(call.layer.name for call in reversed(_calls(model))))
    close = difflib.get_close_matches(near, known, n=3) if near else []
    return ", ".join(repr(prefix + name) for name in close or known)
