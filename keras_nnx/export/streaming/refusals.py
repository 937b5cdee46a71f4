"""Why a model cannot be fed in chunks: the first layer that answers differently, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NoReturn

import keras
import numpy as np

from keras_nnx.export.errors import UnsupportedModelError
from keras_nnx.export.signature import Program
from keras_nnx.export.streaming.chunks import Arrays
from keras_nnx.export.streaming.program import StepProgram
from keras_nnx.export.streaming.taps import Stack, Tap, first_different, taps

_RECURRENT = "Let a recurrent layer or a causal convolution do it."
_OF_STACKS = ("Graph execution error", "Detected at node", "File ", "Node: ", "Stack trace")
_MOVED = (
    "It moves, adds or drops steps, or looks at several, and keeps nothing for the next chunk: do it outside of the "
    "model, or let a causal convolution or a recurrent layer do it."
)
_REMEDIES: dict[str, str] = {
    "Conv1D": 'It looks ahead, or changes the length. Use padding="causal" with strides=1.',
    "Conv": "It looks ahead, or changes the length. Give the axis of time a kernel of 1, and let a Conv1D look back.",
    "Padding": 'It pads every chunk anew. Leave it out, and give the convolution behind it padding="causal".',
    "Cropping": "It cuts every chunk anew. Cut outside of the model.",
    "SequencePooling": 'A chunk is a part only of the steps it pools. Take the "last", or pool outside of the model.',
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


def refuse(step: StepProgram, inputs: Arrays, lengths: Sequence[int], reason: str) -> NoReturn:
    """Raise for a model that answers to chunks differently than to the whole.

    Args:
        step: What is fed in chunks.
        inputs: The sequence on which it does.
        lengths: Of the chunks.
        reason: How it was found out.

    Raises:
        UnsupportedModelError: Naming the first layer that does, if it can be told.
    """
    model = step.whole.model
    found = first_different(step, inputs, lengths)
    raise UnsupportedModelError(
        f"The model {model.name!r} cannot be fed in chunks: its answer to a sequence in chunks is not that to the "
        f"whole{_culprit(model, found)} Or export it for whole sequences with export_model. (Found out in Keras: "
        f"{reason})"
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
    answers = _answers(whole, inputs)
    failed = len(_answers(whole, longer))
    stacks = [tap.stack for tap in answers[max(0, failed - 1) : failed + 1]]
    stack = next((stack for stack in stacks if "Flatten" in type(stack[-1]).__name__), stacks[-1] if stacks else None)
    where = "" if stack is None else f", which the layer {_path(whole.model, stack)!r} needs"
    remedy = "Build it for any." if stack is None else _remedy(stack[-1])
    raise UnsupportedModelError(
        f"The model {whole.model.name!r} takes sequences of {steps} steps only{where}; a stream has any number. "
        f"{remedy}"
    )


def said_by(error: Exception) -> str:
    """Return the line of an error that says what happened, of TensorFlow's without the stack of calls around it."""
    lines = [line for line in str(error).splitlines() if line.strip() and not line.startswith("    ")]
    said = [line.strip() for line in lines if not line.strip().startswith(_OF_STACKS)]
    found = said[0] if said else type(error).__name__
    return re.sub(r"\{\{.*?\}\} ", "", found).split(" [[{{")[0]


def _answers(whole: Program, inputs: Arrays) -> list[Tap]:
    return [tap for tap in taps(whole, whole.call, inputs) if not tap.is_given]


def _culprit(model: keras.Model, found: Tap | None) -> str:
    """Say where the first difference is, and what to do about it."""
    if found is None:
        return ". No layer by itself differs: it is what the model does with their answers."
    stack = _outermost(found.stack)
    name, kind = _path(model, stack), type(stack[-1]).__name__
    if found.is_given and stack == found.stack:
        return (
            f", and what is given to the layer {name!r} ({kind}) differs already, by an operation before it. {_MOVED}"
        )
    is_layer = isinstance(stack[-1], keras.layers.Layer)
    return f" at the {'layer' if is_layer else 'operation'} {name!r} ({kind}). {_remedy(stack[-1])}"


def _path(model: keras.Model, stack: Stack) -> str:
    return "/".join([model.name, *(layer.name for layer in stack)])


def _remedy(layer: Any) -> str:
    name = type(layer).__name__
    if isinstance(layer, keras.layers.RNN):
        return (
            "It remembers by itself; what differs is what it is given beside the steps, a mask or an initial_state "
            "that depends on other steps than those of the chunk. Let it depend on each step alone, or on inputs that "
            "are no sequences."
        )
    if isinstance(layer, keras.layers.DepthwiseConv1D | keras.layers.SeparableConv1D):
        return (
            "It looks ahead, or changes the length, and Keras has causal padding for Conv1D only: use "
            'Conv1D(..., padding="causal"), with groups= as many as its input has channels for a depthwise one.'
        )
    known = next((text for part, text in _REMEDIES.items() if part in name), None)
    if known is None and not isinstance(layer, keras.layers.Layer):
        return _MOVED
    return known or (
        "It looks at more than one step, and only recurrent layers and causal convolutions are known to remember: make "
        "it of these."
    )


def _outermost(stack: Stack) -> Stack:
    """Return the stack down to the outermost layer that is known, or all of it."""
    known = (index for index, layer in enumerate(stack) if _is_known(layer))
    return stack[: next(known, len(stack)) + 1]


def _is_known(layer: Any) -> bool:
    return any(part in type(layer).__name__ for part in _REMEDIES) and not isinstance(layer, keras.Model)
