"""Large weights, kept out of graphs: placeholders stand for them, and their values are beside.

A graph that holds them is copied with them at each step, and cannot pass 2 GB.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf

from keras_nnx.export.lowering.complex_numbers import Pair

SMALLEST = 1024
"""Weights of fewer numbers are constants in the graph, where what reads patterns finds them."""


@dataclasses.dataclass(frozen=True, eq=False)
class Variable:
    """The value of a variable of the model, which a graph reads by its handle."""

    value: tf.Tensor


def is_large(value: np.ndarray) -> bool:
    """Whether a value stays out of the graph."""
    return value.dtype.kind == "f" and value.size >= SMALLEST


class Weights:
    """The weights of the graph that is the default one when this is made: `values`, by the names of placeholders."""

    def __init__(self) -> None:
        self.values: dict[str, np.ndarray] = {}
        self._graph = tf.compat.v1.get_default_graph()
        self._placed: dict[int, tf.Tensor] = {}

    def read(self, variable: Variable, name: str) -> tf.Tensor | Pair:
        """Return the value of a variable: in the bodies of functions a constant, since kernels need one there."""
        key = id(variable)
        if self._graph is tf.compat.v1.get_default_graph() and key in self._placed:
            return self._placed[key]
        value = variable.value.numpy()
        if value.dtype.kind == "c":
            return Pair(tf.constant(value.real), tf.constant(value.imag))
        tensor = self.constant(value, name)
        if self._graph is tensor.graph:
            self._placed[key] = tensor
        return tensor

    def constant(self, value: np.ndarray, name: str) -> tf.Tensor:
        """Return what stands for a value."""
        if not is_large(value) or self._graph is not tf.compat.v1.get_default_graph():
            return tf.constant(value, name=name)
        tensor = tf.compat.v1.placeholder(value.dtype, value.shape, name=name)
        self.values[tensor.op.name] = value
        return tensor
