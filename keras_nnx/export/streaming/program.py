"""The step program: a chunk and what is remembered go in, the answers and what is remembered then come out."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_nnx.export.dimensions import BATCHES, Exploration
from keras_nnx.export.errors import UnsupportedModelError
from keras_nnx.export.lowering.layers import float32_compute
from keras_nnx.export.proof.probes import Probe, make_probes
from keras_nnx.export.signature import Program, Signature
from keras_nnx.export.streaming.memory import Call, Tape
from keras_nnx.export.streaming.sequences import TIME, Sequences
from keras_nnx.export.streaming.states import Place, State

_ALIKE = 1e-6
_FIRST_STEPS, _SECOND_STEPS = 4, 7


@dataclasses.dataclass(frozen=True)
class StepProgram:
    """A model that is fed in chunks.

    Args:
        whole: The model as a function of whole sequences.
        sequences: The inputs that are cut into chunks.
        program: The model as a function of chunks and states.
        states: What goes from one chunk to the next.
        chunk: The steps of a chunk; None for any number.
    """

    whole: Program
    sequences: tuple[str, ...]
    program: Program
    states: tuple[State, ...]
    chunk: int | None = None

    @property
    def feeds(self) -> dict[str, str]:
        """For each state, the output of one call that is its input in the next."""
        return {state.name: state.next_name for state in self.states}

    def takes(self, whole: Exploration) -> Exploration:
        """Return what the step program takes: any chunk, and the values that the model takes as a whole."""
        first = {**whole.sizes[0], TIME: _FIRST_STEPS}
        sizes = [first, *({**first, **other} for other in ({"batch": BATCHES[1]}, {TIME: _SECOND_STEPS}))]
        names = self.program.signature.dynamic_dimensions
        fitting = [{name: size for name, size in entry.items() if name in names} for entry in sizes]
        distinct = [entry for index, entry in enumerate(fitting) if entry not in fitting[:index]]
        return dataclasses.replace(whole, program=self.program, sizes=tuple(distinct))

    @property
    def memory(self) -> int:
        """The steps that all causal convolutions together look back."""
        return sum(state.steps for state in self.states)

    def start(self, batch: int) -> dict[str, np.ndarray]:
        """Return the states at the start of `batch` sequences."""
        return {state.name: state.start(batch) for state in self.states}


def step_program(sequences: Sequences, exploration: Exploration, chunk: int | None) -> StepProgram:
    """Find what the layers of a model remember, and make it inputs and outputs.

    Args:
        sequences: The model.
        exploration: What it takes.
        chunk: The steps of a chunk; None for any number.

    Raises:
        UnsupportedModelError: If a layer cannot be fed in chunks, with the reason.
    """
    whole = exploration.program
    probes = make_probes(exploration)[: len(exploration.sizes)][-2:]  # they differ in the batch, and in the steps
    lengths, batches = zip(*(probe.inputs[sequences.names[0]].shape[1::-1] for probe in probes), strict=True)
    observed = [_observe(whole, probe) for probe in probes]
    taken = {spec.name for spec in (*whole.signature.inputs, *whole.signature.outputs)}
    places: dict[int, Place] = {}
    if len({len(calls) for calls in observed}) > 1:
        raise UnsupportedModelError(
            f"The model {whole.model.name!r} calls its layers another number of times for longer sequences, so that "
            f"they cannot be told apart: let a recurrent layer go over the steps."
        )
    for index, calls in enumerate(zip(*observed, strict=True)):
        if tuple(call.shape[1] for call in calls) != lengths:
            continue  # it goes over another axis than time
        if calls[0].obstacle:
            raise UnsupportedModelError(
                f"The layer {calls[0].layer.path!r} cannot be fed in chunks: {calls[0].obstacle} Or export the model "
                f"for whole sequences with export_model."
            )
        if calls[0].final:
            places[index] = _place(calls, batches, whole.signature.inputs[0].shape[0], taken)
    states = tuple(state for place in places.values() for state in place.states)
    signature = _signature(sequences, whole.signature, states, chunk)
    names = [spec.name for spec in whole.signature.inputs]

    def call(tensors: dict[str, Any]) -> dict[str, Any]:
        tape = Tape(places, {state.name: tensors[state.name] for state in states})
        with tape.recording(whole.model):
            outputs = whole.call({name: tensors[name] for name in names})
        return {**outputs, **{state.next_name: tape.after[state.next_name] for state in states}}

    return StepProgram(whole, sequences.names, Program(whole.model, signature, call), states, chunk)


def _observe(whole: Program, probe: Probe) -> list[Call]:
    with float32_compute(whole.model), Tape().recording(whole.model) as tape:
        whole.call({name: tf.constant(value) for name, value in probe.inputs.items()})
    return tape.calls


def _begins(calls: tuple[Call, ...]) -> bool:
    """Whether a layer starts from what the model makes of its inputs: from another state for each example."""
    if not calls[0].from_outside:
        return False
    rows = [np.asarray(value)[:1] for value in calls[0].initial]
    return any(
        np.abs(np.asarray(value) - row).max(initial=0.0) > _ALIKE
        for call in calls
        for row, value in zip(rows, call.initial, strict=True)
    )


def _place(calls: tuple[Call, ...], batches: tuple[int, ...], batch: int | str, taken: set[str]) -> Place:
    layer, begins = calls[0].layer, _begins(calls)
    finals = [[*call.final, *([np.ones((len(call.initial[0]), 1))] if begins else [])] for call in calls]
    initials = [np.zeros(value.shape) for value in finals[0]] if begins else calls[0].initial
    base = re.sub(r"\W+", "_", layer.name, flags=re.ASCII).strip("_") or "layer"
    base = base if base[0].isalpha() else f"layer_{base}"
    states = []
    for index, values in enumerate(zip(*finals, strict=True)):
        shapes = [tuple(value.shape) for value in values]
        groups = {shape[0] / size for shape, size in zip(shapes, batches, strict=True)}
        rests = {shape[1:] for shape in shapes}
        if len(rests) > 1 or len(groups) > 1 or not min(groups).is_integer():
            raise UnsupportedModelError(
                f"The layer {layer.path!r} remembers something whose shape depends on more than the batch: it was "
                f"{', '.join(str(list(shape)) for shape in shapes)} for batches of {', '.join(map(str, batches))}. "
                f"Give all other sizes with input_signature."
            )
        count = int(min(groups))
        rest = next(iter(rests))
        initial = np.asarray(initials[index], np.float32).reshape(batches[0], count, *rest)[0]
        name = _free(f"{base}_state_{index}", taken)
        states.append(
            State(
                name=name,
                next_name=f"{name}_next",
                layer=layer.path,
                batch=batch,
                groups=count,
                rest=rest,
                initial=initial if count > 1 else initial[0],
                steps=_steps(layer),
                is_recurrent=isinstance(layer, keras.layers.RNN),
            )
        )
    return Place(tuple(states), begins)


def _steps(layer: keras.layers.Layer) -> int:
    return (layer.kernel_size[0] - 1) * layer.dilation_rate[0] if isinstance(layer, keras.layers.Conv1D) else 0


def _free(name: str, taken: set[str]) -> str:
    """Return a name that no tensor has yet, for an input and for the output of the same name with `_next`."""
    base, _, number = name.partition("_state_")
    free, count = name, 1
    while free in taken or f"{free}_next" in taken:
        count += 1
        free = f"{base}_{count}_state_{number}"
    taken |= {free, f"{free}_next"}
    return free


def _signature(sequences: Sequences, signature: Signature, states: tuple[State, ...], chunk: int | None) -> Signature:
    def fitted(spec: Any) -> Any:
        shape = tuple(chunk if size == TIME and chunk is not None else size for size in spec.shape)
        return dataclasses.replace(spec, shape=shape)

    return Signature(
        (*map(fitted, signature.inputs), *(state.input for state in states)),
        (*map(fitted, signature.outputs), *(state.output for state in states)),
    )
