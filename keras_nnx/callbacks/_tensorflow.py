"""What only TensorFlow has: gradients of a model in place, and TensorBoard's files."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
from keras import ops

Activations = dict[str, tuple[Any, str]]


def make_probe(model: Any, groups: dict[str, list[Any]], activations: Activations) -> Callable:
    """Return a compiled function from a batch to numbers by layer; it changes nothing in the model.

    Args:
        model: A compiled model.
        groups: The trainable variables of each layer.
        activations: The layers whose answers are looked at, each with its kind.
    """
    import tensorflow as tf

    variables = {name: [variable.value for variable in group] for name, group in groups.items()}

    @tf.autograph.experimental.do_not_convert
    def probe(x: Any, y: Any, sample_weight: Any) -> dict[str, dict[str, Any]]:
        # In this scope, moving statistics, random states and metrics only seem to change.
        with keras.StatelessScope(), tf.GradientTape() as tape, _recorded(activations) as answers:
            predicted = model(x, training=True)
            loss = model.compute_loss(x, y, predicted, sample_weight, training=True)
        gradients = tape.gradient(loss, variables)
        return {
            "gradient": {name: _norm(group) for name, group in gradients.items()},
            "weight": {name: _norm(group) for name, group in variables.items()},
            **{
                kind: {name: _share(kind, answers[name]) for name in answers if activations[name][1].startswith(kind)}
                for kind in ("dead", "saturated")
            },
        }

    return probe if model.run_eagerly else tf.function(probe, jit_compile=model.jit_compile)


def make_difference(groups: dict[str, list[Any]]) -> Callable:
    """Return a function from copies of variables to the norms of what they changed by since."""

    def difference(before: dict[str, list[Any]]) -> dict[str, Any]:
        return {
            name: _norm([v - old for v, old in zip(groups[name], olds, strict=True)]) for name, olds in before.items()
        }

    return difference


def _norm(tensors: list[Any]) -> Any:
    """Return the norm of some tensors together, in float32; missing gradients are zero."""
    squares = [ops.sum(ops.square(ops.cast(ops.convert_to_tensor(t), "float32"))) for t in tensors if t is not None]
    return ops.sqrt(sum(squares, ops.zeros((), "float32")))


def _share(kind: str, answers: list[tuple[str, Any]]) -> Any:
    """Return the share of units that never answer, or of answers at the end of their range."""
    shares = []
    for function, answer in answers:
        value = ops.cast(answer, "float32")
        if kind == "dead":
            silent = ops.all(value <= 0, axis=tuple(range(len(value.shape) - 1)))
        elif function == "tanh":
            silent = ops.abs(value) > 0.99
        else:
            silent = ops.abs(value - 0.5) > 0.49
        shares.append(ops.mean(ops.cast(silent, "float32")))
    return sum(shares) / len(shares)


@contextlib.contextmanager
def _recorded(activations: Activations) -> Iterator[dict[str, list[tuple[str, Any]]]]:
    """Collect what layers answer, while they are called in this scope."""
    answers: dict[str, list[tuple[str, Any]]] = {}

    def recording(name: str, function: str, call: Callable) -> Callable:
        def call_and_record(*args: Any, **kwargs: Any) -> Any:
            answer = call(*args, **kwargs)
            answers.setdefault(name, []).append((function, answer))
            return answer

        return call_and_record

    for name, (layer, kind) in activations.items():
        # Past the tracking of attributes, which would take the function for a part of the model.
        layer.__dict__["call"] = recording(name, kind.partition(":")[2], layer.call)
    try:
        yield answers
    finally:
        for layer, _ in activations.values():
            del layer.__dict__["call"]


def scalar_writer(folder: str | Path) -> Callable[[dict[str, float], int], None]:
    """Return a function that writes numbers by name, of a step, for TensorBoard.

    Raises:
        ImportError: If TensorBoard is missing.
    """
    tf, writer = _summaries(folder)

    def write(values: dict[str, float], step: int) -> None:
        with writer.as_default():
            for name, value in values.items():
                tf.summary.scalar(name, value, step=step)
        writer.flush()

    return write


def image_writer(folder: str | Path) -> Callable[[str, Any, int], None]:
    """Return a function that writes a picture, an array `(h, w, c)` of bytes, by name, of a step, for TensorBoard.

    Raises:
        ImportError: If TensorBoard is missing.
    """
    tf, writer = _summaries(folder)

    def write(name: str, picture: Any, step: int) -> None:
        with writer.as_default():
            tf.summary.image(name, picture[None], step=step)
        writer.flush()

    return write


def _summaries(folder: str | Path) -> tuple[Any, Any]:
    try:
        import tensorboard.summary  # noqa: F401 (TensorFlow has no summaries without it)
        import tensorflow as tf
    except ImportError as error:
        raise ImportError('Writing for TensorBoard needs it: run pip install "keras-nnx[tune]".') from error
    return tf, tf.summary.create_file_writer(str(folder))
