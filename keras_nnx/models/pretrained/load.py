"""Carry weights over from keras.applications and KerasHub."""

from __future__ import annotations

import dataclasses
import os
import re
from types import ModuleType
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_nnx.models.pretrained import convnext, efficientnet, resnet, vit
from keras_nnx.models.pretrained.files import read_source
from keras_nnx.models.pretrained.plan import Item, MismatchError, Plan
from keras_nnx.models.pretrained.stages import compare_heads

_FAMILIES = (resnet, convnext, efficientnet, vit)
_TOLERANCE = 1e-4
_LOOSE = 5e-2  # where either computes in half precision


@dataclasses.dataclass(frozen=True)
class Carried:
    """What `load_pretrained` did; printed, it is one line.

    Args:
        weights: Every weight that was carried: its layer, its name, and the layer of the source.
        kept: Paths of the weights that the model keeps, those of its own classifier.
        difference: How far both models are apart on random images, as a share of the features' root mean square, at
            the place where they are most.
    """

    weights: tuple[tuple[str, str, str], ...]
    kept: tuple[str, ...]
    difference: float

    def __str__(self) -> str:
        kept = f"; kept {', '.join(self.kept)}" if self.kept else ""
        return f"{len(self.weights)} weights carried, features apart by {self.difference:.1e} of their size{kept}"


def load_pretrained(model: keras.Model, source: Any, skip_head: bool = False) -> Carried:
    """Carry the weights of a published network over into a model built here, and prove that both compute the same.

    ResNet, ResNetV2, ConvNeXt and EfficientNet come from `keras.applications`, ViT from KerasHub. The moving statistics
    of normalisations and the preparation of pixels are carried too, and the positions of a ViT are resized to the
    images of the model. Then both models see the same random images, block by block.

    Args:
        model: A model of `ResNet`, `ConvNeXt`, `EfficientNet` or `ViT`, with the variant of the source.
        source: A model, or a file: a model saved as `.keras`, or weights saved as `.weights.h5` or published as `.h5`.
        skip_head: Whether the model keeps its own classifier though the source has one. Without a classifier in one
            of the two there is nothing to carry.

    Returns:
        What was carried, what was kept, and how well both agree. The model itself is changed.

    Raises:
        ValueError: If the source does not fit; the message names the first layer that does not, and the model is as
            it was.
        FileNotFoundError: If there is no such file.
        ImportError: If a weights file needs KerasHub and it is not installed.

    Example:
        >>> import keras, keras_nnx as nnx
        >>> shape = (32, 32, 3)
        >>> source = keras.applications.EfficientNetB0(weights=None, include_top=False, input_shape=shape)
        >>> model = nnx.models.EfficientNet(shape, classes=10, variant="EfficientNetB0")
        >>> nnx.models.load_pretrained(model, source).kept
        ('logits/kernel', 'logits/bias')

    Source:
        Keras, `keras.applications`; KerasHub, `keras_hub.models.ViTBackbone`.
    """
    family = next((family for family in _FAMILIES if family.takes(model)), None)
    if family is None:
        known = ", ".join(family.NAME for family in _FAMILIES)
        raise MismatchError(
            f"load_pretrained knows the models {known} of keras_nnx.models, and {model.name!r} is none of them."
        )
    from_file = isinstance(source, str | os.PathLike)
    whole = read_source(model, family, source) if from_file else source
    network = _network(whole, family)
    if network is None:
        raise MismatchError(
            f"{getattr(whole, 'name', whole)!r} is no {family.NAME} of "
            f"{'KerasHub' if family is vit else 'keras.applications'}, which {model.name!r} could take weights from. "
            f"Between two models of keras_nnx, set the weights of each layer of one name: "
            f"model.get_layer(name).set_weights(other.get_layer(name).get_weights())."
        )
    plan = _plan(model, network, whole, family, skip_head)
    before = [ops.convert_to_numpy(item.variable) for item in plan.items]
    try:
        _assign(plan.items, [item.value for item in plan.items])
        difference = _difference(family, plan)
    except BaseException:
        _assign(plan.items, before)
        raise
    covered = {id(item.variable) for item in plan.items}
    return Carried(
        weights=tuple((item.path, item.part, item.source) for item in plan.items),
        kept=tuple(variable.path for variable in model.weights if id(variable) not in covered),
        difference=difference,
    )


def _network(source: Any, family: ModuleType) -> keras.Model | None:
    """Return the network of the family in a model: the model itself, or one that it contains."""
    if not isinstance(source, keras.Model):
        raise TypeError(f"load_pretrained takes a keras.Model or a file as its source, but received {source!r}.")
    if any(re.fullmatch(family.MARK, layer.name) for layer in source.layers):
        return source
    inner = (layer for layer in source.layers if isinstance(layer, keras.Model))
    return next((found for layer in inner if (found := _network(layer, family)) is not None), None)


def _plan(model: keras.Model, network: keras.Model, whole: keras.Model, family: ModuleType, skip_head: bool) -> Plan:
    names = family.HEAD if hasattr(family, "HEAD") else family.head(network)
    plan = Plan(model, network, whole, names)
    family.fill(plan)
    plan.classifier(skip_head)
    plan.check_complete()
    return plan


def _assign(items: list[Item], values: list[np.ndarray]) -> None:
    for item, value in zip(items, values, strict=True):
        item.variable.assign(value)


def _difference(family: ModuleType, plan: Plan) -> float:
    """Return the largest difference of the features, or name what is the first to compute others."""
    model, network, worst = plan.model, plan.source, 0.0
    halves = {layer.compute_dtype for layer in (*model.layers, *network.layers)} & {"float16", "bfloat16"}
    for name, ours, theirs in (*family.compare(model, network), *compare_heads(plan)):
        if ours.shape != theirs.shape:
            raise MismatchError(
                f"{model.name!r} and {network.name!r} differ in {name}: {ours.shape} and {theirs.shape}."
            )
        expected = theirs.astype("float64")
        apart = _root_mean_square(ours - expected) / max(_root_mean_square(expected), 1e-12)
        if not apart <= (_LOOSE if halves else _TOLERANCE):
            raise MismatchError(
                f"{name} of {model.name!r} computes something else than that of {network.name!r}: the features are "
                f"apart by {apart:.1e} of their size."
            )
        worst = max(worst, apart)
    return worst


def _root_mean_square(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))
