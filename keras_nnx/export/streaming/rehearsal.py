"""A step model is rehearsed in Keras before anything is made of it, and then performed in each runtime."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from keras_nnx.export.dimensions import BATCHES, Exploration
from keras_nnx.export.errors import ExportError, ParityError, RuntimeFailureError
from keras_nnx.export.lowering.layers import float32_compute
from keras_nnx.export.proof.comparison import Parity, compare, signal_to_noise_db
from keras_nnx.export.proof.probes import Probe, make_probes
from keras_nnx.export.proof.reference import Reference, make_references, steady, with_more_noise
from keras_nnx.export.proof.runtimes import Runtime
from keras_nnx.export.signature import Program
from keras_nnx.export.streaming.chunks import Arrays, Case, cut, over_time, sequence_steps
from keras_nnx.export.streaming.program import StepProgram
from keras_nnx.export.streaming.refusals import refuse
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
        self._noise_is_complete = False
        self._prefix = compiled(step.whole)
        self._cases: list[Case] = []
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
        return self._references[min(1, len(self._references) - 1)].probe.inputs

    @property
    def steps(self) -> int:
        """The number of steps of the sequences."""
        return sequence_steps(self.program)

    @property
    def ways(self) -> str:
        """In which ways they were cut."""
        return ", ".join(dict.fromkeys(case.name.split(", ", 1)[1] for case in self._cases))

    def in_keras(self) -> None:
        """Compare the chunks with the whole in Keras itself.

        Raises:
            UnsupportedModelError: If they differ, naming the layer that makes them.
        """
        for spec in self.program.whole.signature.outputs:
            if any(isinstance(size, str) and size not in ("batch", TIME) for size in spec.shape):
                refuse(self.program, self._references, f"the output {spec} has not one answer for each step.")
        try:
            self._cases = cut(self.program, self._references, self._prefix)
            function = compiled(self.program.program)
            answers = [[self._fed(function, case)] for case in self._cases]
            self._compare("keras", answers)
        except ParityError as error:
            refuse(self.program, self._references, str(error))
        except ExportError:
            raise
        except Exception as error:  # noqa: BLE001  (whatever a layer raises on a chunk, it does not take it)
            refuse(self.program, self._references, f"it fails on a part of a sequence: {error}")

    def prove(self, target: str, precision: str, runtime: Runtime) -> Parity:
        """Feed the sequences to a runtime in chunks, and return how the answers compare to those to the whole."""
        pieces = [piece for case in self._cases for piece in case.pieces]
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
        for case in self._cases:
            calls = [next(results) for _ in case.pieces]
            answers.append([case.assembled(call, self._timed) for call in zip(*calls, strict=True)])
        return self._compare(target, answers) if precision == "float32" else self._measure(answers)

    def _fed(self, function: Any, case: Case) -> Arrays:
        answers: list[Arrays] = []
        for piece in case.pieces:
            states = {name: answers[-1][output] for name, output in self.program.feeds.items() if answers}
            answers.append(function({**states, **piece}))
        return case.assembled(answers, self._timed)

    def _compare(self, target: str, answers: list[list[Arrays]]) -> Parity:
        try:
            return compare(target, [case.reference for case in self._cases], answers, self._tolerance)
        except ParityError:
            if self._noise_is_complete:
                raise
            self._noise_is_complete = True
            self._references = with_more_noise(self.program.whole, self._references)
            self._cases = cut(self.program, self._references, self._prefix)
            return self._compare(target, answers)

    def _measure(self, answers: list[list[Arrays]]) -> Parity:
        """Return the signal-to-noise ratio of whole sequences in lower precision, whose errors may add up."""
        usual = [
            (case, calls[0])
            for case, calls in zip(self._cases, answers, strict=True)
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


def _references(whole: Program, probes: list[Probe]) -> list[Reference]:
    """Return the model's answers to whole sequences: to the first as it is, to others compiled, which is faster.

    Step by step, every operator of every step is a call from Python; the first shows that both answer alike.
    """
    faster = dataclasses.replace(whole, call=traceable(whole))
    return [*make_references(whole, probes[:1]), *(make_references(faster, probes[1:]) if probes[1:] else [])]


def compiled(program: Program) -> Any:
    """Return a function of arrays that runs `program` compiled, in float32."""
    with float32_compute(program.model):
        concrete = traceable(program).get_concrete_function(tensor_specifications(program))

    def run(inputs: Arrays) -> Arrays:
        with float32_compute(program.model):
            outputs = concrete({name: tf.constant(value) for name, value in inputs.items()})
        return {name: np.asarray(value) for name, value in outputs.items()}

    return run


def _sizes(step: StepProgram, exploration: Exploration) -> tuple[dict[str, int], ...]:
    sizes = {**exploration.sizes[0], TIME: sequence_steps(step)}
    return tuple({**sizes, "batch": batch} for batch in BATCHES) if "batch" in sizes else (sizes,)


def _trimmed(step: StepProgram, samples: dict[str, np.ndarray] | None) -> dict[str, np.ndarray] | None:
    """Return real sequences without the steps at their end that fill no chunk."""
    if samples is None or step.chunk is None:
        return samples
    steps = samples[step.sequences[0]].shape[1] // step.chunk * step.chunk
    return {name: value[:, :steps] if name in step.sequences else value for name, value in samples.items()}
