"""Which inputs of a model are sequences, and the model as a function of sequences of any length."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any

import keras

from keras_nnx.export.engine import program_of
from keras_nnx.export.errors import SignatureError, UnsupportedModelError
from keras_nnx.export.signature import Program, Signature, TensorSignature, input_structure

TIME = "time"
"""What the axis of time is called in the signature."""
_LEAST_RANK = 2


@dataclasses.dataclass(frozen=True)
class Sequences:
    """A model that is read for any number of steps.

    Args:
        program: The model; a sequence is `(batch, time, ...)`.
        names: The inputs that are sequences; the others are the same for all steps.
    """

    program: Program
    names: tuple[str, ...]


@contextlib.contextmanager
def sequences_of(model: keras.Model, input_signature: Any) -> Iterator[Sequences]:
    """Yield the model as a function of sequences of any length; inside, no layer keeps state or insists on a length.

    Raises:
        SignatureError: If no input is a sequence, or another dimension than batch and time is unknown.
        UnsupportedModelError: If the model takes one length only.
    """
    structure = input_structure(model, input_signature)
    flat = keras.tree.flatten(structure)
    chosen = _sequences(model, flat)
    opened = [_opened(tensor) if index in chosen else tensor for index, tensor in enumerate(flat)]
    fixed = [flat[index].shape[1] for index in chosen if flat[index].shape[1] is not None]
    with contextlib.ExitStack() as stack:
        stack.enter_context(_loosened(model))
        try:
            read = stack.enter_context(program_of(model, keras.tree.pack_sequence_as(structure, opened)))
        except SignatureError as error:
            if not fixed:
                raise
            raise UnsupportedModelError(
                f"The model {model.name!r} takes sequences of {fixed[0]} steps only, and a stream has any number: "
                f"{error} Build it with keras.Input((None, ...)), without layers that need to know the length."
            ) from error
        names = tuple(read.signature.inputs[index].name for index in chosen)
        yield Sequences(dataclasses.replace(read, signature=_with_time(model, read.signature, names)), names)


def _sequences(model: keras.Model, flat: list[Any]) -> list[int]:
    """Return the places of the inputs that are sequences: those of unknown length, or else all that could be."""
    ranks = [len(tensor.shape) for tensor in flat]
    unknown = [index for index, tensor in enumerate(flat) if ranks[index] >= _LEAST_RANK and tensor.shape[1] is None]
    several = [index for index, rank in enumerate(ranks) if rank > _LEAST_RANK]
    indices = [
        index
        for index, rank in enumerate(ranks)
        if rank == _LEAST_RANK and "int" in keras.backend.standardize_dtype(flat[index].dtype)
    ]
    found = unknown or several or indices
    if not found:
        shapes = ", ".join(str(tuple(tensor.shape)) for tensor in flat)
        raise SignatureError(
            f"The model {model.name!r} takes no sequence, so that there is nothing to stream: its inputs have the "
            f"shapes {shapes}, and a sequence is (batch, time, ...). Use export_model; or, if axis 1 is the time, say "
            f"so with input_signature=keras.Input((None, ...))."
        )
    return found


def _opened(tensor: Any) -> keras.KerasTensor:
    """Return the input with an unknown length."""
    name = getattr(tensor, "name", None)
    history = getattr(tensor, "_keras_history", None)
    opened = keras.KerasTensor((tensor.shape[0], None, *tensor.shape[2:]), tensor.dtype, name=name)
    if history is not None:
        opened._keras_history = history  # it has the name that was given
    return opened


def _with_time(model: keras.Model, signature: Signature, names: tuple[str, ...]) -> Signature:
    """Call the time of all sequences alike, and refuse what else is unknown."""

    def renamed(spec: TensorSignature) -> TensorSignature:
        shape = (spec.shape[0], TIME, *spec.shape[2:]) if spec.name in names else spec.shape
        unknown = [axis for axis, size in enumerate(shape) if isinstance(size, str) and size not in ("batch", TIME)]
        if unknown:
            raise SignatureError(
                f"The input {spec.name!r} of the model {model.name!r} has an unknown size on axis {unknown[0]}, and "
                f"what its layers remember needs known ones: give it with input_signature."
            )
        return dataclasses.replace(spec, shape=shape)

    return Signature(tuple(map(renamed, signature.inputs)), signature.outputs)


@contextlib.contextmanager
def _loosened(model: keras.Model) -> Iterator[None]:
    """Let layers take any number of steps and start anew with each call, until the block is left."""
    changed: list[tuple[Any, str, Any]] = []

    def change(owner: Any, name: str, value: Any) -> None:
        changed.append((owner, name, vars(owner).get(name, _ABSENT)))
        object.__setattr__(owner, name, value)

    try:
        for layer in model._flatten_layers():
            if isinstance(layer, keras.layers.RNN):
                change(layer, "stateful", False)
                change(layer, "unroll", False)
            for part in (layer, getattr(layer, "_functional", None)):
                if isinstance(part, keras.Model) and hasattr(part, "_inputs_struct"):
                    change(part, "_manual_input_spec", None)
        yield
    finally:
        for owner, name, before in reversed(changed):
            if before is _ABSENT:
                object.__delattr__(owner, name)
            else:
                object.__setattr__(owner, name, before)


_ABSENT = object()
