"""One case of the layer contract: what a public layer needs to be run through everything."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

BATCH = 2


@dataclasses.dataclass(frozen=True, eq=False)
class Case:
    """One way to use a public layer.

    Args:
        layer: The class.
        arguments: What its constructor is given.
        shapes: The shape of each input without the batch.
        unknown: Axes that may have any size (the batch is axis 0 and always may); twice the size has to work too.
        mask: How the mask comes out of a layer that takes one, as a function of how it went in.
        silent: Ends of the paths of weights whose gradient is zero by mathematics.
        integers_below: For integer inputs: the values are under this.
        integers: Which of the inputs are integers; None for all, if there is `integers_below`.
        fixed: Inputs of which every size is known.
        across: Whether an answer depends on the other examples of the batch.
        label: Tells several cases of one class apart.
    """

    layer: type[keras.layers.Layer]
    shapes: tuple[tuple[int, ...], ...]
    arguments: dict[str, Any] = dataclasses.field(default_factory=dict)
    unknown: tuple[int, ...] = ()
    mask: Callable[[np.ndarray], np.ndarray | None] | None = None
    silent: tuple[str, ...] = ()
    integers_below: int | None = None
    integers: tuple[int, ...] | None = None
    fixed: tuple[int, ...] = ()
    across: bool = False
    label: str = ""

    def __str__(self) -> str:
        return "-".join(part for part in (self.layer.__name__, self.label) if part)

    def make(self, **more: Any) -> keras.layers.Layer:
        """Return a new layer."""
        return self.layer(**self.arguments, **more)

    def make_built(self, seed: int = 0, **more: Any) -> keras.layers.Layer:
        """Return a new layer, built, with no weight at a value as special as zero or one."""
        keras.utils.set_random_seed(seed)
        layer = self.make(**more)
        layer.build(*self.sized())
        random = np.random.default_rng(seed)
        layer.set_weights([value + random.uniform(-0.2, 0.2, value.shape) for value in layer.get_weights()])
        return layer

    def passed_in(self, config: dict[str, Any]) -> dict[str, Any]:
        """Return the part of a new layer's configuration that has the arguments."""
        return config

    def unknown_of(self, index: int) -> tuple[int, ...]:
        """Return the axes of one input that may have any size."""
        return () if index in self.fixed else tuple(axis for axis in self.unknown if axis <= len(self.shapes[index]))

    def dtype_of(self, index: int) -> str:
        """Return the dtype of one input."""
        counted = self.integers_below is not None and (self.integers is None or index in self.integers)
        return "int32" if counted else "float32"

    def sized(self, batch: int | None = None, scale: int | None = 1) -> list[tuple[int | None, ...]]:
        """Return the shape of each input, with the sizes that may be unknown times `scale`, or unknown."""
        return [
            (
                batch,
                *(
                    size if axis not in self.unknown_of(index) else None if scale is None else size * scale
                    for axis, size in enumerate(shape, start=1)
                ),
            )
            for index, shape in enumerate(self.shapes)
        ]

    def inputs(self, scale: int = 1, seed: int = 0) -> list[np.ndarray]:
        """Return values for each input."""
        random = np.random.default_rng(seed)
        return [
            random.standard_normal(shape).astype("float32")
            if self.dtype_of(index) == "float32"
            else random.integers(0, self.integers_below, shape).astype("int32")
            for index, shape in enumerate(self.sized(BATCH, scale))
        ]

    def model(self, layer: keras.layers.Layer, scale: int | None = 1, masked: bool = False) -> keras.Model:
        """Return a functional model of the one layer, behind a `Masking` if it is to be masked."""
        inputs = [
            keras.Input(shape[1:], dtype=self.dtype_of(index)) for index, shape in enumerate(self.sized(scale=scale))
        ]
        tensors = [keras.layers.Masking()(tensor) for tensor in inputs] if masked else inputs
        return keras.Model(inputs, layer(*tensors))


def unchanged(mask: np.ndarray) -> np.ndarray:
    """A mask that is passed on as it is."""
    return mask


def extended(mask: np.ndarray) -> np.ndarray:
    """A mask that gains a valid position in front."""
    return np.concatenate([np.ones_like(mask[:, :1]), mask], axis=1)


IMAGE = ((8, 6, 3),)
SEQUENCE = ((6, 8),)
