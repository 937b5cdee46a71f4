"""Which layers of a model train."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any

import keras


def freeze(model: Any, until: str | None = None) -> list[str]:
    """Freeze the first layers of a model, for fine-tuning, and let the others train.

    A frozen `BatchNormalization` also uses its moving statistics in training, and no longer updates them. Weights that
    low-rank adaptation (`enable_lora`) keeps stay as they are.

    Compile the model afterwards, also if it was compiled before: `fit` says so if not. Keras itself would keep, on
    TensorFlow, the step that it traced, in which frozen layers train; on JAX the old optimizer would fail.

    Args:
        model: A built model.
        until: The first layer that trains, counted in the order of `model.layers`. A path such as
            `"backbone/stage_3_block_1"` names a layer of a model inside the model: all before `"backbone"` is frozen
            then, and inside it all before that layer. Default: only the heads train, the layers with weights that are
            next to the outputs.

    Returns:
        The paths of the frozen layers that have weights.

    Raises:
        ValueError: If no layer has that name, the name is that of several, or the model has no weights yet.

    Example:
        >>> import keras_nnx as nnx
        >>> model = nnx.models.ResNet((8, 8, 1), filters=(4,), blocks=(1,))
        >>> nnx.models.freeze(model)
        ['stem', 'stem_normalization', 'stage_1_block_1']
    """
    if not model.weights:
        raise ValueError(f"freeze({model.name!r}) found no weights: build the model first.")
    frozen = list(_all_but_heads(model, "") if until is None else _before(model, str(until).split("/"), ""))
    _train(model)
    for _, layer in frozen:
        layer.trainable = False
    model.compiled = False
    return [path for path, layer in frozen if layer.weights]


def _all_but_heads(model: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    """Yield every layer that is no head; of a model that is one, those inside."""
    heads = list(_heads(model))
    for layer in model.layers:
        if not any(layer is head for head in heads):
            yield prefix + layer.name, layer
        elif isinstance(layer, keras.Model):
            yield from _all_but_heads(layer, f"{prefix}{layer.name}/")


def _heads(model: Any) -> Iterator[Any]:
    """Yield the layers with weights that are next to the outputs; the last one, if nobody noted what follows what."""
    tensors = list(getattr(model, "outputs", None) or [])
    if not tensors:
        yield [layer for layer in model.layers if layer.weights][-1]
    while tensors:
        layer, node, _ = tensors.pop()._keras_history
        if getattr(layer, "weights", None):
            yield layer
        else:
            tensors.extend(layer._inbound_nodes[node].input_tensors)


def _before(model: Any, names: list[str], prefix: str) -> Iterator[tuple[str, Any]]:
    """Yield every layer that comes before the one that the names lead to, with its path."""
    position = _position(model, names[0], prefix)
    for layer in model.layers[:position]:
        yield prefix + layer.name, layer
    if len(names) > 1:
        inner = model.layers[position]
        if not isinstance(inner, keras.Model):
            raise ValueError(
                f"freeze(until={prefix + '/'.join(names)!r}) leads into a layer: {prefix + names[0]!r} is a "
                f"{type(inner).__name__} and no model, and trains as a whole or not at all."
            )
        yield from _before(inner, names[1:], f"{prefix}{names[0]}/")


def _position(model: Any, name: str, prefix: str) -> int:
    known = [layer.name for layer in model.layers]
    if known.count(name) > 1:
        raise ValueError(
            f"freeze(until={prefix + name!r}) names {known.count(name)} layers of {model.name!r}: rename one."
        )
    if name not in known:
        close = difflib.get_close_matches(name, known, n=3) or known
        raise ValueError(
            f"freeze(until={prefix + name!r}) names no layer of {model.name!r}. Close to it: "
            f"{', '.join(repr(prefix + other) for other in close)}."
        )
    return known.index(name)


def _train(model: Any) -> None:
    """Let every layer train, but for the weights that low-rank adaptation keeps."""
    for layer in model._flatten_layers():
        if not layer.trainable:
            layer.trainable = True
        if getattr(layer, "lora_enabled", False):
            kept = layer._embeddings if hasattr(layer, "_embeddings") else layer._kernel
            kept.trainable = False
