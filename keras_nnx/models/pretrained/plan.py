"""Which weight gets which value, settled before any is touched."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import numpy as np
from keras import ops


class MismatchError(ValueError):
    """A source that does not fit the model; nothing was changed."""


@dataclasses.dataclass(frozen=True)
class Item:
    """A weight of the model, the value that it gets, and the layer that this is from."""

    path: str
    part: str
    variable: Any
    value: np.ndarray
    source: str


class Plan:
    """The items of one transfer, in the order of the layers.

    Args:
        model: The model that receives.
        source: The model that gives.
        whole: The model that the source is a part of, where its classifier may be; or the source itself.
        head: Names of the classifier in the model and in the source.
    """

    def __init__(self, model: keras.Model, source: keras.Model, whole: keras.Model, head: tuple[str, str]) -> None:
        self.model, self.source, self.whole, self.head = model, source, whole, head
        self.items: list[Item] = []
        self.used: set[int] = set()
        self.heads: tuple[Any, Any] | None = None

    def ours(self, path: str) -> Any:
        """Return the layer at a path such as `stage_1_block_1/convolution_1`."""
        first, *rest = path.split("/")
        layer = self.model.get_layer(first)
        for name in rest:
            layer = getattr(layer, name)
        return layer

    def theirs(self, name: str, wanted_by: str, within: Any = None) -> Any:
        """Return a layer of the source, or say which layer of the model misses it."""
        for layer in (within or self.source).layers:
            if layer.name == name:
                return layer
        raise MismatchError(
            f"{wanted_by} of {self.model.name!r} needs a layer {name!r}, which {self.source.name!r} has not."
        )

    def put(self, path: str, part: str, value: Any, source: str, used: Any = None) -> None:
        """Note a value for a weight, if the shapes agree."""
        variable = getattr(self.ours(path), part)
        value = np.asarray(ops.convert_to_numpy(value), "float32")
        if tuple(variable.shape) != value.shape:
            raise MismatchError(
                f"{path} of {self.model.name!r} has a {part} of shape {tuple(variable.shape)}, but {source} of "
                f"{self.source.name!r} one of {value.shape}."
            )
        if not np.isfinite(value).all():
            raise MismatchError(f"{source} of {self.source.name!r} has a {part} that is not finite.")
        self.items.append(Item(path, part, variable, value, source))
        if used is not None:
            self.used.add(id(used))

    def agree(self, path: str, layer: Any, *settings: str) -> None:
        """Refuse layers that compute something else with the same weights."""
        for name in settings:
            mine, other = getattr(self.ours(path), name), getattr(layer, name)
            if not (np.isclose(mine, other, rtol=1e-6) if isinstance(mine, float) else mine == other):
                raise MismatchError(
                    f"{path} of {self.model.name!r} has {name}={mine!r}, but {layer.name} {name}={other!r}."
                )

    def convolution(self, path: str, layer: Any, norm: tuple[str, Any] | None = None) -> None:
        """Carry a convolution; its bias goes into the mean that a batch normalisation behind it takes out."""
        mine = self.ours(path)
        self.agree(path, layer, "strides", "dilation_rate")
        kernel = ops.convert_to_numpy(layer.kernel)
        if isinstance(mine, keras.layers.DepthwiseConv2D) and not isinstance(layer, keras.layers.DepthwiseConv2D):
            kernel = np.transpose(kernel, (0, 1, 3, 2))  # a convolution with as many groups as channels
        self.put(path, "kernel", kernel, layer.name, layer.kernel)
        bias = np.zeros(kernel.shape[-1]) if layer.bias is None else self.taken(layer.bias)
        if mine.use_bias:
            bias = np.zeros(mine.bias.shape) if layer.bias is None else bias
            self.put(path, "bias", bias, layer.name)
        if norm is not None:
            self.batch_normalization(*norm, minus=0 if mine.use_bias or layer.bias is None else bias)
        elif not mine.use_bias and bias.any():
            raise MismatchError(
                f"{path} of {self.model.name!r} has no bias, but {layer.name} of {self.source.name!r} has."
            )

    def batch_normalization(self, path: str, layer: Any, minus: Any = 0) -> None:
        """Carry a batch normalisation, the moving statistics included; `minus` comes off the mean."""
        self.agree(path, layer, "epsilon")
        for part in ("gamma", "beta", "moving_mean", "moving_variance"):
            variable = getattr(layer, part)
            value = ops.convert_to_numpy(variable)
            self.put(path, part, value - minus if part == "moving_mean" else value, layer.name, variable)

    def layer_normalization(self, path: str, layer: Any) -> None:
        """Carry a layer normalisation."""
        self.agree(path, layer, "epsilon")
        for part in ("gamma", "beta"):
            variable = getattr(layer, part)
            self.put(path, part, variable, layer.name, variable)

    def dense(self, path: str, layer: Any) -> None:
        """Carry a projection, out of a `Dense`, an `EinsumDense` or a 1 x 1 convolution; without a bias it is zero."""
        wanted = tuple(self.ours(path).kernel.shape)
        kernel = ops.convert_to_numpy(layer.kernel)
        fits = kernel.size == np.prod(wanted)
        self.put(path, "kernel", kernel.reshape(wanted) if fits else kernel, layer.name, layer.kernel)
        variable = self.ours(path).bias
        bias = np.zeros(variable.shape) if layer.bias is None else self.taken(layer.bias).reshape(-1)
        self.put(path, "bias", bias, layer.name)

    def classifier(self, skip: bool) -> None:
        """Carry the classifier, if both have one and it is wanted."""
        mine = next((layer for layer in self.model.layers if layer.name == self.head[0]), None)
        others = (*self.source.layers, *self.whole.layers)
        other = next((layer for layer in others if layer.name == self.head[1]), None)
        if mine is None or other is None or skip:
            return
        if mine.units != other.units:
            raise MismatchError(
                f"{self.head[0]} of {self.model.name!r} has {mine.units} classes, but {other.name} of "
                f"{self.source.name!r} has {other.units}: pass skip_head=True to keep the model's own classifier."
            )
        self.heads = (mine, other)
        self.dense(self.head[0], other)

    def check_complete(self) -> None:
        """Refuse a transfer that would leave a weight of the model, or of the source, aside."""
        covered = {id(item.variable) for item in self.items}
        for variable in self.model.weights:
            if id(variable) not in covered and variable.path.split("/")[0] != self.head[0]:
                raise MismatchError(
                    f"{variable.path} of {self.model.name!r} has no counterpart in {self.source.name!r}."
                )
        beside = [] if self.heads is None else [layer for layer in self.whole.layers if layer is not self.source]
        for layer in (*self.source.layers, *beside):
            unused = [variable for variable in layer.weights if id(variable) not in self.used]
            if unused and layer.name != self.head[1] and not isinstance(layer, keras.layers.Normalization):
                raise MismatchError(
                    f"{unused[0].path} of {self.source.name!r} has no counterpart in {self.model.name!r}."
                )

    def taken(self, variable: Any) -> np.ndarray:
        """Return the value of a variable of the source, which is used thereby."""
        self.used.add(id(variable))
        return ops.convert_to_numpy(variable)
