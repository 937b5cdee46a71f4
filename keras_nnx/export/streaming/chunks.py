"""Sequences cut into chunks, and what a model has to answer to them."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_nnx.export.proof.probes import Probe
from keras_nnx.export.proof.reference import Reference
from keras_nnx.export.streaming.program import StepProgram
from keras_nnx.export.streaming.sequences import TIME

Arrays = dict[str, np.ndarray]

LEAST_STEPS = 40
"""Of the sequences that are cut, unless a model looks back further than a third of that."""
LONG = "long"
"""The name of the sequence that is cut into a few long pieces."""
_LONG_STEPS, _LONG_BYTES, _LONG_PIECES = 512, 16_000_000, 3
_MOST_SINGLE = 96
_MOST_PREFIXES = 10


@dataclasses.dataclass(frozen=True)
class Case:
    """A sequence that is cut in one way.

    Args:
        name: Of the sequence, and how it is cut.
        pieces: The inputs of the calls; the first has the states, too.
        ends: After how many steps each piece ends.
        checked: Of which pieces the answers without an axis of time are compared.
        reference: What the answers have to be: of outputs with time all steps, of others those to the checked pieces.
    """

    name: str
    pieces: tuple[Arrays, ...]
    ends: tuple[int, ...]
    checked: tuple[int, ...]
    reference: Reference

    @property
    def lengths(self) -> list[int]:
        """How many steps each piece has."""
        return np.diff([0, *self.ends]).tolist()

    @property
    def is_long(self) -> bool:
        """Whether the sequence is the long one."""
        return self.name.startswith(LONG)

    def assembled(self, answers: Sequence[Arrays], over_time: set[str]) -> Arrays:
        """Return the answers to the pieces as `reference` has them."""
        return {
            name: np.concatenate([answer[name] for answer in answers], axis=1)
            if name in over_time
            else np.stack([answers[index][name] for index in self.checked])
            for name in self.reference.outputs
        }


def sequence_steps(step: StepProgram) -> int:
    """Return how many steps the sequences have: several times what the model looks back."""
    steps = max(LEAST_STEPS, 3 * (step.memory + 1))
    if step.chunk is None:
        return steps
    return step.chunk * max(3, -(-steps // step.chunk))


def long_steps(step: StepProgram, apart: int, bytes_of_a_step: int) -> int:
    """Return how many steps the long sequence has, which shows what is remembered outside of the layers that are known.

    Args:
        step: What is fed with it.
        apart: How many steps an answer and what it depends on may be apart.
        bytes_of_a_step: Of all inputs; of large ones there are fewer steps, but never fewer than three times `apart`.
    """
    usual = min(_LONG_STEPS, _LONG_BYTES // max(1, bytes_of_a_step))
    steps = max(usual, 3 * (apart + 1), sequence_steps(step))
    return steps if step.chunk is None else -(-steps // step.chunk) * step.chunk


def over_time(step: StepProgram) -> set[str]:
    """Return the outputs that have an answer for each step."""
    return {spec.name for spec in step.whole.signature.outputs if spec.shape[1:2] == (TIME,)}


def cut(step: StepProgram, references: list[Reference], prefix: Any, seed: int = 0) -> list[Case]:
    """Cut sequences into chunks: all at once, one step at a time, and unevenly; or into chunks of the fixed size.

    Args:
        step: What is fed with them.
        references: The sequences, with the model's answers to the whole.
        prefix: What the model answers to the beginning of a sequence, as a function of inputs.
        seed: Of the uneven chunks.
    """
    random = np.random.default_rng(seed)
    return [
        _case(step, reference, label, lengths, prefix)
        for reference in references
        for label, lengths in _chunkings(step, reference.probe, random).items()
    ]


def pieces_of(step: StepProgram, inputs: Arrays, lengths: Sequence[int]) -> list[Arrays]:
    """Return the inputs of the calls, of which only the first has states."""
    ends = list(itertools.accumulate(lengths))
    pieces = [
        {name: value[:, end - length : end] if name in step.sequences else value for name, value in inputs.items()}
        for end, length in zip(ends, lengths, strict=True)
    ]
    batch = len(inputs[step.sequences[0]])
    return [{**piece, **step.start(batch)} if index == 0 else piece for index, piece in enumerate(pieces)]


def _steps(step: StepProgram, probe: Probe) -> int:
    return probe.inputs[step.sequences[0]].shape[1]


def _chunkings(step: StepProgram, probe: Probe, random: np.random.Generator) -> dict[str, list[int]]:
    steps = _steps(step, probe)
    if step.chunk is not None:
        return {f"in chunks of {step.chunk}": [step.chunk] * (steps // step.chunk)}
    if probe.name == LONG:
        piece = steps // _LONG_PIECES
        return {"in long pieces": [*[piece] * (_LONG_PIECES - 1), steps - piece * (_LONG_PIECES - 1)]}
    single = min(steps, _MOST_SINGLE)
    uneven: list[int] = []
    while (left := steps - sum(uneven)) > 0:
        uneven.append(min(left, int(random.integers(1, max(3, steps // 3)))))
    return {
        "at once": [steps],
        "step by step": [1] * single + ([steps - single] if steps > single else []),
        "in uneven chunks": uneven,
    }


def _case(step: StepProgram, reference: Reference, label: str, lengths: list[int], prefix: Any) -> Case:
    inputs, timed = reference.probe.inputs, over_time(step)
    ends = list(itertools.accumulate(lengths))
    checked = sorted({*np.linspace(0, len(ends) - 1, _MOST_PREFIXES).astype(int).tolist()})
    outputs = dict(reference.outputs)
    if set(outputs) - timed:
        answers = [prefix(_until(step, inputs, ends[index])) for index in checked]
        outputs |= {name: np.stack([answer[name] for answer in answers]) for name in set(outputs) - timed}
    name = f"{reference.probe.name}, {label}"
    return Case(
        name,
        tuple(pieces_of(step, inputs, lengths)),
        tuple(ends),
        tuple(checked),
        Reference(Probe(name, inputs), outputs, reference.noise),
    )


def _until(step: StepProgram, inputs: Arrays, end: int) -> Arrays:
    return {name: value[:, :end] if name in step.sequences else value for name, value in inputs.items()}
