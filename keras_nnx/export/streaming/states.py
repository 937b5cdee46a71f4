"""The inputs and outputs that hold what a layer remembers."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from keras_nnx.export.signature import TensorSignature


@dataclasses.dataclass(frozen=True)
class State:
    """One tensor that goes from one call of the step model to the next.

    Args:
        name: Of the input.
        next_name: Of the output whose value is the input of the next call.
        layer: Path of the layer that remembers it.
        batch: The batch dimension: its name or its size.
        groups: Rows for each example of the batch, where the model puts an axis into the batch; else 1.
        rest: The other dimensions.
        initial: The value at the start of a sequence, of one example.
        steps: How many of the last steps it holds, of a convolution; 0 of a recurrent layer.
        is_recurrent: Whether a recurrent layer remembers it.
    """

    name: str
    next_name: str
    layer: str
    batch: int | str
    groups: int
    rest: tuple[int, ...]
    initial: np.ndarray
    steps: int = 0
    is_recurrent: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """The dimensions of one example."""
        return self.rest if self.groups == 1 else (self.groups, *self.rest)

    @property
    def input(self) -> TensorSignature:
        """The input that holds it before a chunk."""
        return TensorSignature(self.name, (self.batch, *self.shape), "float32")

    @property
    def output(self) -> TensorSignature:
        """The output that holds it after a chunk."""
        return TensorSignature(self.next_name, (self.batch, *self.shape), "float32")

    def packed(self, tensor: Any) -> Any:
        """Return what a layer remembers as the step model gives it."""
        tensor = tf.cast(tensor, tf.float32)
        size = self.batch if isinstance(self.batch, int) else -1
        if self.groups > 1:
            tensor = tf.reshape(tensor, [size, *self.shape])
        tensor.set_shape([None if size == -1 else size, *self.shape])
        return tensor

    def start(self, batch: int) -> np.ndarray:
        """Return the value at the start of `batch` sequences."""
        return np.ascontiguousarray(np.broadcast_to(self.initial, (batch, *self.shape)), np.float32)

    def to_dict(self) -> dict[str, Any]:
        """Return what a client has to know, in types that JSON knows."""
        initial = self.initial.tolist() if self.initial.any() else 0.0
        return {
            "input": self.name,
            "output": self.next_name,
            "shape": list(self.shape),
            "dtype": "float32",
            "initial": initial,
            "layer": self.layer,
        }


@dataclasses.dataclass(frozen=True)
class Place:
    """A call of a layer, and the states that it takes and gives.

    Args:
        states: They.
        begins: Whether the last state says if the sequence has begun: before, the layer starts from what the model
            gives it.
    """

    states: tuple[State, ...]
    begins: bool = False
