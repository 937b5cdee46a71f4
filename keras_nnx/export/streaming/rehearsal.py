"""A step model is rehearsed in Keras before anything is made of it, and then performed in each runtime."""

from __future__ import annotations

import dataclasses
from typing import Any, NoReturn

import numpy as np
import tensorflow as tf

from keras_nnx.export.dimensions import BATCHES, Exploration
from keras_nnx.export.errors import ExportError, ParityError, RuntimeFailureError
from keras_nnx.export.lowering.layers import float32_compute
from keras_nnx.export.proof.comparison import NOISE_MARGIN, Parity, compare, signal_to_noise_db
from keras_nnx.export.proof.probes import Probe, make_probes
from keras_nnx.export.proof.reference import (
    CHAOS,
    Reference,
    is_chaotic,
    make_references,
    quick_reference,
    steady,
    with_more_noise,
)
from keras_nnx.export.proof.runtimes import Runtime
from keras_nnx.export.signature import Program
from keras_nnx.export.streaming.chunks import LONG, Arrays, Case, cut, long_steps, over_time, sequence_steps
from keras_nnx.export.streaming.program import StepProgram
from keras_nnx.export.streaming.reach import reach
from keras_nnx.export.streaming.refusals import refuse, said_by
from keras_nnx.export.streaming.sequences import TIME
from keras_nnx.export.tracing import tensor_specifications, traceable

_USUAL = ("ordinary", "samples")
_PROBES = (*_USUAL, "masked", "wide")
"""How the names of the sequences begin that are cut; single calls are proven on more."""


class Rehearsal:
    """Sequences in chunks, and what the model answers to the whole.

    Args:
        step: The step program.
        exploration: What the model takes as a whole.
        samples: Real sequences, if the caller gave some.
        tolerance: Allowed difference in float32.
    """

    def __init__(
        self, step: StepProgram, exploration: Exploration, samples: dict[str, np.ndarray] | None, tolerance: float
    ) -> None:
        self.program = step
        self.takes = step.takes(exploration)
        self._tolerance = tolerance
        probes = make_probes(dataclasses.replace(exploration, sizes=_sizes(step, exploration)), _trimmed(step, samples))
        kept = [probe for probe in probes if probe.name.startswith(_PROBES)]
        self._references, _ = steady(step.whole, _references(step.whole, kept))
        self._is_refined: set[bool] = set()  # of the long sequence, or not
        self._prefix = Compiled(step.whole)
        self._references += _long_references(step, exploration, self._prefix)
        self._cases: list[Case] = []
        self._fed_now: Case | None = None
        self._timed = over_time(step)

    @property
    def step(self) -> Probe:
        """One step (or one chunk of the fixed size) at the start of a sequence, whose time is taken."""
        first = self._references[0].probe.inputs
        steps = self.program.chunk or 1
        begun = {name: value[:, :steps] if name in self.program.sequences else value for name, value in first.items()}
        return Probe("step", {**begun, **self.program.start(len(first[self.program.sequences[0]]))})

    @property
    def ordinary(self) -> Arrays:
        """Sequences of ordinary values, the largest batch of them."""
        probes = [reference.probe for reference in self._references]
        return [probe for probe in probes if probe.name.startswith("ordinary")][-1].inputs

    @property
    def steps(self) -> int:
        """The number of steps of the longest sequence."""
        return max(case.ends[-1] for case in self._cases)

    def sequences(self) -> str:
        """Return which sequences were cut, and in which ways."""
        several = [case for case in self._cases if not case.is_long]
        ways = ", ".join(dict.fromkeys(case.name.split(", ", 1)[1] for case in several))
        said = f"Sequences of {sequence_steps(self.program)} steps, cut {ways}"
        longer = [case for case in self._cases if case.is_long]
        return f"{said}, and one of {longer[0].ends[-1]} steps {longer[0].name.split(', ', 1)[1]}" if longer else said

    def in_keras(self) -> None:
        """Compare the chunks with the whole in Keras itself.

        Raises:
            UnsupportedModelError: If they differ, naming the layer that makes them.
        """
        for spec in self.program.whole.signature.outputs:
            if any(isinstance(size, str) and size not in ("batch", TIME) for size in spec.shape):
                self._refuse(f"the output {spec} has not one answer for each step.")
        try:
            self._cases = cut(self.program, self._references, self._prefix)
            function = Compiled(self.program.program)
            answers = [[self._fed(function, case)] for case in self._cases]
            self._compare("keras", answers)
        except ParityError as error:
            self._refuse(str(error), self._case_of(error))
        except ExportError:
            raise
        except Exception as error:  # noqa: BLE001  (whatever a layer raises on a chunk, it does not take it)
            self._refuse(f"it fails on a part of a sequence: {said_by(error)}", self._fed_now)

    def _refuse(self, reason: str, case: Case | None = None) -> NoReturn:
        """Raise with the first layer that differs on the case that failed, or on a sequence in uneven chunks."""
        if case is not None:
            refuse(self.program, case.reference.probe.inputs, case.lengths, reason)
        inputs, steps, chunk = self._references[0].probe.inputs, sequence_steps(self.program), self.program.chunk
        lengths = [chunk] * (steps // chunk) if chunk else [steps // 2, 1, steps - steps // 2 - 1]
        refuse(self.program, inputs, lengths, reason)

    def prove(self, target: str, precision: str, runtime: Runtime) -> Parity:
        """Feed the sequences to a runtime in chunks, and return how the answers compare to those to the whole."""
        cases = self._cases if precision == "float32" else [case for case in self._cases if not case.is_long]
        pieces = [piece for case in cases for piece in case.pieces]
        try:
            results = iter(runtime.run(pieces, self.program.feeds))
        except ExportError:
            raise
        except Exception as error:
            raise RuntimeFailureError(
                f"{target}: the runtime cannot run the {precision} step model on the chunks of a sequence: {error} The "
                f"artifact is not usable: leave this format out."
            ) from error
        answers = []
        for case in cases:
            calls = [next(results) for _ in case.pieces]
            answers.append([case.assembled(call, self._timed) for call in zip(*calls, strict=True)])
        return self._compare(target, answers) if precision == "float32" else self._measure(cases, answers)

    def _fed(self, function: Any, case: Case) -> Arrays:
        answers: list[Arrays] = []
        self._fed_now = case
        for piece in case.pieces:
            states = {name: answers[-1][output] for name, output in self.program.feeds.items() if answers}
            answers.append(function({**states, **piece}))
        return case.assembled(answers, self._timed)

    def _compare(self, target: str, answers: list[list[Arrays]]) -> Parity:
        try:
            return compare(target, [case.reference for case in self._cases], answers, self._tolerance)
        except ParityError as error:
            case = self._case_of(error)
            if case is None or case.is_long in self._is_refined or _is_no_noise(error, case):
                raise
            self._is_refined.add(case.is_long)
            alike = [reference for reference in self._references if _is_long(reference) == case.is_long]
            others = [reference for reference in self._references if _is_long(reference) != case.is_long]
            refined = with_more_noise(self.program.whole, alike)
            self._references = [*others, *refined] if case.is_long else [*refined, *others]
            self._cases = cut(self.program, self._references, self._prefix)
            return self._compare(target, answers)

    def _case_of(self, error: ParityError) -> Case | None:
        return next((case for case in self._cases if case.name == error.probe), None)

    def _measure(self, cases: list[Case], answers: list[list[Arrays]]) -> Parity:
        """Return the signal-to-noise ratio of whole sequences in lower precision, whose errors may add up."""
        usual = [
            (case, calls[0])
            for case, calls in zip(cases, answers, strict=True)
            if case.reference.probe.name.startswith(_USUAL)
        ]
        ratios = {}
        for name in self._references[0].outputs:
            expected = np.concatenate([case.reference.outputs[name].ravel() for case, _ in usual])
            received = np.concatenate([answer[name].ravel() for _, answer in usual])
            ratios[name] = signal_to_noise_db(expected, received), float(np.abs(expected - received).max(initial=0.0))
        worst = min(ratios, key=lambda name: ratios[name][0])
        ratio, error = ratios[worst]
        return Parity(False, "measured", error, error, 0.0, len(usual), sqnr_db=ratio, worst_output=worst)


def _is_long(reference: Reference) -> bool:
    return reference.probe.name == LONG


def _is_no_noise(error: ParityError, case: Case) -> bool:
    """Whether an answer is off by more than the noise of a model that is not chaotic could ever be."""
    expected = case.reference.outputs[error.output]
    largest = max(1.0, float(np.abs(expected[np.isfinite(expected)]).max(initial=0.0)))
    return error.max_abs_error > NOISE_MARGIN * CHAOS * largest


def _references(whole: Program, probes: list[Probe]) -> list[Reference]:
    """Return the model's answers to whole sequences: to the first as it is, to others compiled, which is faster.

    Step by step, every operator of every step is a call from Python; the first shows that both answer alike.
    """
    faster = dataclasses.replace(whole, call=traceable(whole))
    return [*make_references(whole, probes[:1]), *(make_references(faster, probes[1:]) if probes[1:] else [])]


def _long_references(step: StepProgram, exploration: Exploration, whole: Compiled) -> list[Reference]:
    """Return the answers to one long sequence; to half of it, and so on, if the model is chaotic on it."""
    inputs = {spec.name: spec for spec in step.whole.signature.inputs}
    sizes = {**exploration.sizes[0], TIME: 1}
    bytes_each = sum(
        int(np.prod(inputs[name].resolve(sizes))) * np.dtype(inputs[name].dtype).itemsize for name in step.sequences
    )
    steps = long_steps(step, reach(step.whole.model, whole.graph), bytes_each)
    while steps > sequence_steps(step):
        probe = make_probes(dataclasses.replace(exploration, sizes=({**sizes, TIME: steps},)))[0]
        reference = quick_reference(whole, dataclasses.replace(probe, name=LONG))
        if not is_chaotic(reference):
            return [reference]
        steps = steps // 2 if step.chunk is None else steps // 2 // step.chunk * step.chunk
    return []


class Compiled:
    """A program as a function of arrays, compiled, in float32."""

    def __init__(self, program: Program) -> None:
        self._model = program.model
        with float32_compute(program.model):
            self._concrete = traceable(program).get_concrete_function(tensor_specifications(program))

    @property
    def graph(self) -> tf.Graph:
        """What it was compiled to."""
        return self._concrete.graph

    def __call__(self, inputs: Arrays) -> Arrays:
        """Run it."""
        with float32_compute(self._model):
            outputs = self._concrete({name: tf.constant(value) for name, value in inputs.items()})
        return {name: np.asarray(value) for name, value in outputs.items()}


def _sizes(step: StepProgram, exploration: Exploration) -> tuple[dict[str, int], ...]:
    sizes = {**exploration.sizes[0], TIME: sequence_steps(step)}
    return tuple({**sizes, "batch": batch} for batch in BATCHES) if "batch" in sizes else (sizes,)


def _trimmed(step: StepProgram, samples: dict[str, np.ndarray] | None) -> dict[str, np.ndarray] | None:
    """Return real sequences without the steps at their end that fill no chunk."""
    if samples is None or step.chunk is None:
        return samples
    steps = samples[step.sequences[0]].shape[1] // step.chunk * step.chunk
    return {name: value[:, :steps] if name in step.sequences else value for name, value in samples.items()}
