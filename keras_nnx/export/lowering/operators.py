"""Lowering by operator: decompositions on the traced, frozen graph, blind to the layers that made it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow as tf

from keras_nnx.export.lowering.targets import check_targets

Decomposition = Callable[..., Sequence[tf.Tensor]]

_REGISTRY: dict[tuple[str, str], Decomposition] = {}


def register_decomposition(operator: str, targets: Sequence[str]) -> Callable[[Decomposition], Decomposition]:
    """Teach the engine to write one TensorFlow operator as others.

    Args:
        operator: The operator's type, such as `"Erfc"`.
        targets: `"onnx"`, `"tflite"` or both.

    Returns:
        A decorator for a function `(operation, *inputs) -> outputs`, called inside the graph that receives the
        replacement; `operation` is the original `tf.Operation`, for its attributes, `inputs` are tensors of the new
        graph, and `outputs` is a list with as many tensors as the operator has. `NotImplemented` instead of a list
        keeps the operator.

    Raises:
        ValueError: If a target is unknown.

    Example:
        >>> import tensorflow as tf
        >>> import keras_nnx as nnx
        >>> @nnx.export.register_decomposition("Xdivy", targets=("onnx", "tflite"))
        ... def xdivy(operation, x, y):
        ...     return [tf.where(tf.equal(x, 0), 0.0, x / y)]
    """
    check_targets("register_decomposition", targets)

    def register(function: Decomposition) -> Decomposition:
        for target in targets:
            _REGISTRY[operator, target] = function
        return function

    return register


def decomposition(operator: str, target: str) -> Decomposition | None:
    """Return how `operator` is written as others for `target`, or None."""
    return _REGISTRY.get((operator, target))
