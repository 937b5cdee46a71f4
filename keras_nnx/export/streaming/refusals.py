"""Why a model cannot be fed in chunks: the first layer that answers differently, and what to do about it."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from typing import Any, NoReturn

import keras
import numpy as np
import tensorflow as tf

from keras_nnx.export.errors import UnsupportedModelError
from keras_nnx.export.lowering.layers import float32_compute, replaced_calls
from keras_nnx.export.proof.reference import Reference
from keras_nnx.export.signature import Program
from keras_nnx.export.streaming.chunks import pieces_of
from keras_nnx.export.streaming.memory import Tape
from keras_nnx.export.streaming.program import StepProgram

_DIVERGED = 1e-4
_STEPS = 37
"""A length that hardly is that of another axis."""

_RECURRENT = "Let a recurrent layer or a causal convolution do it."
_REMEDIES: dict[str, str] = {
    "Conv": 'It looks ahead, or changes the length. Use padding="causal" with strides=1.',
    "Padding": 'It pads every chunk anew. Leave it out, and give the convolution behind it padding="causal".',
    "Cropping": "It cuts every chunk anew. Cut outside of the model.",
    "Pool": f"It pools over time, of which a chunk is a part only. {_RECURRENT}",
    "Attention": f"It attends to other steps, which are not kept. {_RECURRENT}",
    "Transformer": f"It attends to other steps, which are not kept. {_RECURRENT}",
    "Flatten": "It flattens time, of which a chunk has any amount. Answer at every step, or after the last one.",
    "Reshape": "Its shape holds a number of steps, of which a chunk has any. Reshape other axes only.",
    "Permute": "It moves the axis of time away from axis 1, where chunks are put together.",
    "Normalization": "It normalises over time, of which a chunk is a part only. Normalise over the features.",
    "Position": "It counts steps from the start of each chunk. Pass the positions as an input.",
    "Bidirectional": "It reads a sequence from its end, too. Use the recurrent layer itself.",
    "UpSampling": "It answers more often than it is asked.",
    "Softmax": "It normalises over time, of which a chunk is a part only.",
}
"""By what is in the names of the classes, the most telling first in the order of the stack of calls."""

Tap = tuple[tuple[keras.layers.Layer, ...], np.ndarray]


def refuse(step: StepProgram, references: list[Reference], reason: str) -> NoReturn:
    """Raise for a model that answers to chunks differently than to the whole.

    Raises:
        UnsupportedModelError: Naming the first layer that does, if it can be told.
    """
    model = step.whole.model
    stack = _first_different(step, references[0].probe.inputs)
    if stack is None:
        where, remedy = "", "No layer by itself differs: it is what the model does with their answers."
    else:
        where, remedy = f" at the layer {_path(model, stack)!r} ({type(stack[-1]).__name__})", _remedy(stack[-1])
    raise UnsupportedModelError(
        f"The model {model.name!r} cannot be fed in chunks: its answer to a sequence in chunks is not that to the "
        f"whole{where}. {remedy} Or export it for whole sequences with export_model. (Found out in Keras: {reason})"
    )


def refuse_one_length(whole: Program, inputs: dict[str, np.ndarray], sequences: tuple[str, ...]) -> NoReturn:
    """Raise for a model that runs on `inputs`, and fails on sequences of any other length.

    Raises:
        UnsupportedModelError: Naming the layer that fails, or the one before it that made something of all steps.
    """
    steps = inputs[sequences[0]].shape[1]
    longer = {
        name: np.concatenate([value, value[:, :1]], axis=1) if name in sequences else value
        for name, value in inputs.items()
    }
    taps = _taps(whole, whole.call, inputs)
    failed = len(_taps(whole, whole.call, longer))
    stacks = [stack for stack, _ in taps[max(0, failed - 1) : failed + 1]]
    stack = next((stack for stack in stacks if "Flatten" in type(stack[-1]).__name__), stacks[-1] if stacks else None)
    where = "" if stack is None else f", which the layer {_path(whole.model, stack)!r} needs"
    remedy = "Build it for any." if stack is None else _remedy(stack[-1])
    raise UnsupportedModelError(
        f"The model {whole.model.name!r} takes sequences of {steps} steps only{where}; a stream has any number. "
        f"{remedy}"
    )


def _path(model: keras.Model, stack: tuple[keras.layers.Layer, ...]) -> str:
    return "/".join([model.name, *(layer.name for layer in stack)])


def _remedy(layer: keras.layers.Layer) -> str:
    name = type(layer).__name__
    known = next((text for part, text in _REMEDIES.items() if part in name), None)
    return known or (
        "It looks at more than one step, and only recurrent layers and causal convolutions are known to remember: make "
        "it of these."
    )


def _first_different(step: StepProgram, inputs: dict[str, np.ndarray]) -> tuple[keras.layers.Layer, ...] | None:
    """Return the layer, with those it lies in, whose answers to chunks first differ; the outermost that is known."""
    steps = _STEPS if step.chunk is None else step.chunk * 3
    given = {name: value[:, :steps] if name in step.sequences else value for name, value in inputs.items()}
    steps = given[step.sequences[0]].shape[1]
    lengths = [step.chunk] * (steps // step.chunk) if step.chunk else [steps // 2, 1, steps - steps // 2 - 1]
    whole = _taps(step.whole, functools.partial(_observed, step), given)
    chunks: list[list[Tap]] = []
    states: dict[str, Any] = {}
    for piece in pieces_of(step, given, lengths):
        answers: dict[str, Any] = {}
        chunks.append(_taps(step.whole, step.program.call, {**states, **piece}, answers))
        if not answers:
            return _outermost(whole[min(len(chunks[-1]), len(whole) - 1)][0])
        states = {name: answers[output] for name, output in step.feeds.items()}
    for index, (stack, expected) in enumerate(whole):
        if any(index >= len(taps) for taps in chunks) or not _same(expected, [taps[index][1] for taps in chunks]):
            return _outermost(stack)
    return None


def _outermost(stack: tuple[keras.layers.Layer, ...]) -> tuple[keras.layers.Layer, ...]:
    """Return the stack down to the outermost layer that is known, or all of it."""
    known = (index for index, layer in enumerate(stack) if _is_known(layer))
    return stack[: next(known, len(stack)) + 1]


def _observed(step: StepProgram, inputs: dict[str, Any]) -> dict[str, Any]:
    """Run the whole as the step program runs chunks, so that the layers inside are called alike."""
    with Tape().recording(step.whole.model):
        return step.whole.call(inputs)


def _is_known(layer: keras.layers.Layer) -> bool:
    return any(part in type(layer).__name__ for part in _REMEDIES) and not isinstance(layer, keras.Model)


def _same(expected: np.ndarray, received: list[np.ndarray]) -> bool:
    """Whether chunks of an answer are the whole, along the axis of time, or as the answer so far."""
    found = _put_together(expected, received)
    if found is None or found.shape != expected.shape:
        return False
    scale = max(1.0, float(np.abs(expected[np.isfinite(expected)]).max(initial=0.0)))
    with np.errstate(invalid="ignore"):
        difference = np.abs(expected - found)
    return bool(np.all((difference <= _DIVERGED * scale) | (expected == found) | np.isnan(expected)))


def _put_together(expected: np.ndarray, received: list[np.ndarray]) -> np.ndarray | None:
    for axis in range(expected.ndim):
        if sum(part.shape[axis] for part in received if part.ndim == expected.ndim) == expected.shape[axis]:
            try:
                return np.concatenate(received, axis=axis)
            except ValueError:
                continue
    return received[-1]


def _taps(program: Program, call: Any, inputs: dict[str, Any], answers: dict[str, Any] | None = None) -> list[Tap]:
    """Return what the layers answer, in the order in which they do, with the layers that they were called in.

    A layer that fails ends the list.
    """
    record: list[Tap] = []
    with float32_compute(program.model), _watched(program.model, record), contextlib.suppress(Exception):
        found = call({name: tf.constant(value) for name, value in inputs.items()})
        if answers is not None:
            answers.update(found)
    return record


@contextlib.contextmanager
def _watched(model: keras.Model, record: list[Tap]) -> Iterator[None]:
    stack: list[keras.layers.Layer] = []

    def watch(layer: keras.layers.Layer) -> Any:
        before = layer.call

        def call(*arguments: Any, **more: Any) -> Any:
            quiet = any(isinstance(outer, keras.layers.RNN | keras.layers.TimeDistributed) for outer in stack)
            stack.append(layer)
            try:
                result = before(*arguments, **more)
            finally:
                stack.pop()
            record.extend(
                ((*stack, layer), np.asarray(tensor, np.float64))
                for tensor in ([] if quiet else tf.nest.flatten(result))
                if isinstance(tensor, tf.Tensor) and tensor.dtype.is_floating
            )
            return result

        return call

    with replaced_calls(model._flatten_layers(include_self=False), watch):
        yield
