"""What goes into the layers of a model and what comes out of them, for a whole sequence and for its chunks."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_nnx.export.lowering.layers import float32_compute, replaced_calls
from keras_nnx.export.signature import Program
from keras_nnx.export.streaming.chunks import Arrays, pieces_of
from keras_nnx.export.streaming.memory import Tape
from keras_nnx.export.streaming.program import StepProgram

_DIVERGED = 1e-4
_FEW_PIECES = (2, 5)

Stack = tuple[Any, ...]


@dataclasses.dataclass(frozen=True)
class Tap:
    """A tensor in a model.

    Args:
        stack: The layer or operation that it belongs to, after those that it was called in.
        value: The tensor.
        is_given: Whether it goes in.
    """

    stack: Stack
    value: np.ndarray
    is_given: bool = False


def first_different(step: StepProgram, inputs: Arrays, lengths: Sequence[int]) -> Tap | None:
    """Return the first tensor that is another in chunks than in the whole; of the first example of which one is.

    What a layer that answers once forgets until the end shows in the beginning of the sequence, which is looked at too.

    Args:
        step: What is fed in chunks.
        inputs: The sequence.
        lengths: Of the chunks.
    """
    batch = step.program.signature.inputs[0].shape[0]
    count = 1 if isinstance(batch, int) else len(inputs[step.sequences[0]])
    for index in range(count):
        row = inputs if count == 1 else {name: value[index : index + 1] for name, value in inputs.items()}
        for pieces in dict.fromkeys((len(lengths), *(few for few in _FEW_PIECES if few < len(lengths)))):
            steps = sum(lengths[:pieces])
            begun = {name: value[:, :steps] if name in step.sequences else value for name, value in row.items()}
            found = _first_different(step, begun, lengths[:pieces])
            if found is not None:
                return found
    return None


def _first_different(step: StepProgram, inputs: Arrays, lengths: Sequence[int]) -> Tap | None:
    whole = taps(step.whole, functools.partial(_observed, step), inputs)
    chunks: list[list[Tap]] = []
    states: dict[str, Any] = {}
    for piece in pieces_of(step, inputs, lengths):
        answers: dict[str, Any] = {}
        chunks.append(taps(step.whole, step.program.call, {**states, **piece}, answers))
        if not answers:  # it failed
            return whole[min(len(chunks[-1]), len(whole) - 1)] if whole else None
        states = {name: answers[output] for name, output in step.feeds.items()}
    for index, tap in enumerate(whole):
        if any(index >= len(parts) for parts in chunks):
            return tap
        if not _same(tap.value, [parts[index].value for parts in chunks]):
            return tap
    return None


def taps(program: Program, call: Any, inputs: dict[str, Any], answers: dict[str, Any] | None = None) -> list[Tap]:
    """Return what goes into layers and comes out of them and of operations, in the order in which it does.

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
    stack: list[Any] = []

    def noted(node: Any, tensors: Any, *, is_given: bool) -> None:
        if any(isinstance(outer, keras.layers.RNN | keras.layers.TimeDistributed) for outer in stack):
            return
        record.extend(
            Tap((*stack, node), np.asarray(tensor, np.float64), is_given)
            for tensor in tf.nest.flatten(tensors)
            if isinstance(tensor, tf.Tensor) and (tensor.dtype.is_floating or tensor.dtype.is_integer)
        )

    def watch(node: Any) -> Any:
        before = node.call
        past = _past(node)

        def call(*arguments: Any, **more: Any) -> Any:
            if isinstance(node, keras.layers.Layer):
                lengthened = past > 0 and node.padding != "causal"
                noted(node, _without(arguments, past, node.data_format) if lengthened else arguments, is_given=True)
            stack.append(node)
            try:
                result = before(*arguments, **more)
            finally:
                stack.pop()
            noted(node, result, is_given=False)
            return result

        return call

    with replaced_calls([*model._flatten_layers(include_self=False), *_operations(model)], watch):
        yield


def _operations(model: keras.Model) -> list[Any]:
    """Return what functional models do between their layers."""
    graphs = [getattr(layer, "_functional", None) or layer for layer in model._flatten_layers()]
    found = [node for graph in graphs for node in getattr(graph, "_operations", ())]
    return [node for node in dict.fromkeys(found) if not isinstance(node, keras.layers.Layer)]


def _past(node: Any) -> int:
    """Return how many steps are put before the input of a layer that remembers steps."""
    if not isinstance(node, keras.layers.Conv1D) or node.padding != "causal" or node.strides[0] > 1:
        return 0
    return int((node.kernel_size[0] - 1) * node.dilation_rate[0])


def _without(arguments: tuple[Any, ...], past: int, data_format: str) -> Any:
    first = arguments[0]
    return first[:, :, past:] if data_format == "channels_first" else first[:, past:]


def _observed(step: StepProgram, inputs: dict[str, Any]) -> dict[str, Any]:
    """Run the whole as the step program runs chunks, so that the layers inside are called alike."""
    with Tape().recording(step.whole.model):
        return step.whole.call(inputs)


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
