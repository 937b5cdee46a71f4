"""What the model itself answers, and how exactly it can be said to."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from keras_nnx.export.errors import SignatureError, UnsupportedModelError
from keras_nnx.export.lowering.layers import float32_compute, float64_compute
from keras_nnx.export.proof.probes import Probe
from keras_nnx.export.signature import Program
from keras_nnx.export.tracing import tensor_specifications, traceable

CHAOS = 0.01
"""A model whose answer moves by more than this share of its largest value, when its inputs move in the last bits."""
_REAL = ("ordinary", "samples")
"""How the names of probes begin that are like real inputs: what was drawn, and what was given for calibration."""
_ALIKE = 1e-4
_ROWS = 3
_REPEATABLE = 1e-4
"""Threads that add in another order may move an answer by less than this, of its largest value."""
_NOTABLE, _MANY_TIMES = 1e-4, 16
"""Where compiling moves an answer by more than this share, and by as many times what its inputs' last bits do, it is
looked into."""


@dataclasses.dataclass(frozen=True)
class Reference:
    """The model's outputs for one probe, and for each the largest movement that float noise alone makes."""

    probe: Probe
    outputs: dict[str, np.ndarray]
    noise: dict[str, float]


def make_references(program: Program, probes: list[Probe], seed: int = 0) -> list[Reference]:
    """Run the model on every probe: eagerly for the answer; compiled, and nudged in the last bits, for the noise."""
    random = np.random.default_rng(seed)
    references, apart = [], []
    with float32_compute(program.model):
        compiled = traceable(program).get_concrete_function(tensor_specifications(program))
        for probe in probes:
            try:
                outputs = _run(program.call, probe.inputs)
            except Exception as error:
                shapes = {name: list(value.shape) for name, value in probe.inputs.items()}
                raise SignatureError(
                    f"The model {program.model.name!r} itself fails on inputs of the shapes {shapes}: {error} If it "
                    f"cannot take any size, narrow it with input_signature."
                ) from error
            same = [_run(program.call, probe.inputs), _run(compiled, probe.inputs)]
            _refuse_two_shapes(program, outputs, same[1])
            _refuse_random(program, outputs, same[0])
            _refuse_random(program, same[1], _run(compiled, probe.inputs))
            nudged = [_run(compiled, _nudged(probe.inputs, random)) for _ in range(2)]
            others = [same[1], *nudged]
            noise = {name: max(_movement(value, other[name]) for other in others) for name, value in outputs.items()}
            references.append(Reference(probe, outputs, noise))
            if any(
                _is_apart(value, same[1][name], [other[name] for other in nudged]) for name, value in outputs.items()
            ):
                apart.append(probe)
    if apart:
        _refuse_two_answers(program, apart)
    _refuse_empty_proof(program, references)
    return references


def quick_reference(run: Callable[[dict[str, np.ndarray]], Any], probe: Probe, seed: int = 0) -> Reference:
    """Return what a compiled model answers to a probe, with the noise that the last bits of the inputs make."""
    random = np.random.default_rng(seed)
    outputs = run(probe.inputs)
    nudged = [run(_nudged(probe.inputs, random)) for _ in range(2)]
    noise = {name: max(_movement(value, other[name]) for other in nudged) for name, value in outputs.items()}
    return Reference(probe, outputs, noise)


def with_more_noise(program: Program, references: list[Reference], seed: int = 0) -> list[Reference]:
    """Return the references with what else rounding makes of the answers, where it is more.

    Inputs have few numbers beside the many that a long sum adds up, and runtimes add in another order, or merge a
    normalisation into the weights of a convolution. So the weights are moved to other last bits, too; and the model is
    run in float64, if it can be, to see how far from the right answer its own one is. All is as before when this
    returns, or raises.
    """
    random = np.random.default_rng(seed)
    with float32_compute(program.model), _nudged_weights(program, random):
        compiled = traceable(program).get_concrete_function(tensor_specifications(program))
        others = [[_run(compiled, reference.probe.inputs)] for reference in references]
    with float64_compute(program.model):
        for reference, answers in zip(references, others, strict=True):
            exact = _run_or_none(program.call, reference.probe.inputs)
            if exact is not None and all(exact[name].shape == value.shape for name, value in reference.outputs.items()):
                answers.append(exact)
    moved = []
    for reference, answers in zip(references, others, strict=True):
        noise = {
            name: max(reference.noise[name], *(_movement(value, answer[name]) for answer in answers))
            for name, value in reference.outputs.items()
        }
        more = dataclasses.replace(reference, noise=noise)
        moved.append(reference if is_chaotic(more) else more)
    return moved


@contextlib.contextmanager
def _nudged_weights(program: Program, random: np.random.Generator) -> Iterator[None]:
    """Move every weight to a neighbouring float until the block is left."""
    weights = {
        index: variable.numpy()
        for index, variable in enumerate(program.model.variables)
        if variable.dtype in ("float32", "float64")
    }
    try:
        for index, value in weights.items():
            program.model.variables[index].assign(_nudged({"": value}, random)[""])
        yield
    finally:
        for index, value in weights.items():
            program.model.variables[index].assign(value)


def steady(program: Program, references: list[Reference]) -> tuple[list[Reference], list[str]]:
    """Return the references that can tell a right answer from a wrong one, and the names of the other probes.

    On a chaotic probe the model's own answer moves so far by rounding that an allowance for it would let anything pass.

    Raises:
        UnsupportedModelError: If the model is chaotic on every ordinary probe.
    """
    chaotic = {reference.probe.name for reference in references if is_chaotic(reference)}
    kept = [reference for reference in references if reference.probe.name not in chaotic]
    if not any(reference.probe.name.startswith(_REAL) for reference in kept):
        raise UnsupportedModelError(
            f"The model {program.model.name!r} is chaotic: when its inputs move in the last bits, its answer moves by "
            f"more than {CHAOS:.0%}, so that no file can be told to be right. Pass calibration, a few batches of real "
            f"inputs; if it is chaotic there too, no other machine will answer as this one does."
        )
    return kept, sorted(chaotic)


def is_insensitive(references: list[Reference]) -> bool:
    """Whether the answers to ordinary and to real inputs are all alike, as those of many untrained models are."""
    for name in references[0].outputs:
        rows = [reference.outputs[name] for reference in references if reference.probe.name.startswith(_REAL)]
        rows = [row.astype(np.float64) for value in rows if value.ndim > 0 for row in value]
        same = [row for row in rows if row.shape == rows[0].shape]
        if len(same) < _ROWS:
            return False
        scale = max(1.0, float(np.abs(same[0]).max(initial=0.0)))
        if max(float(np.abs(row - same[0]).max(initial=0.0)) for row in same) > _ALIKE * scale:
            return False
    return True


def is_chaotic(reference: Reference) -> bool:
    """Whether float noise moves the model's own answer so far that it cannot tell a right one from a wrong one."""
    for name, value in reference.outputs.items():
        finite = np.abs(value[np.isfinite(value)], dtype=np.float64)
        if reference.noise[name] > CHAOS * max(1.0, float(finite.max(initial=0.0))):
            return True
    return False


def _refuse_two_shapes(program: Program, eager: dict[str, np.ndarray], compiled: dict[str, np.ndarray]) -> None:
    for name, value in eager.items():
        if value.shape != compiled[name].shape:
            raise UnsupportedModelError(
                f"The output {name!r} of the model {program.model.name!r} has the shape {list(value.shape)} when it is "
                f"run step by step, and {list(compiled[name].shape)} when TensorFlow compiles it for the sizes of the "
                f"signature: narrow them with input_signature."
            )


def _is_apart(eager: np.ndarray, compiled: np.ndarray, nudged: list[np.ndarray]) -> bool:
    """Whether compiling moves an answer much further than its inputs' last bits do."""
    scale = max(1.0, float(np.abs(eager[np.isfinite(eager)], dtype=np.float64).max(initial=0.0)))
    by_rounding = max(_movement(compiled, other) for other in nudged)
    return _movement(eager, compiled) > max(_NOTABLE * scale, _MANY_TIMES * by_rounding)


def _refuse_two_answers(program: Program, probes: list[Probe]) -> None:
    """Raise for a model that computes something else when it is compiled; no file could be right.

    Without rounding, which float64 all but takes away, the two answers are the same if they are meant to be.
    """
    with float64_compute(program.model):
        compiled = traceable(program).get_concrete_function(tensor_specifications(program))
        for probe in probes:
            eager, answer = (_run_or_none(function, probe.inputs) for function in (program.call, compiled))
            for name, value in (eager or {}).items():
                scale = max(1.0, float(np.abs(value[np.isfinite(value)], dtype=np.float64).max(initial=0.0)))
                if answer is not None and _movement(value, answer[name]) > _NOTABLE / 4 * scale:
                    shapes = {key: list(given.shape) for key, given in probe.inputs.items()}
                    raise UnsupportedModelError(
                        f"The output {name!r} of the model {program.model.name!r} differs by "
                        f"{_movement(value, answer[name]):.1e} between running step by step and compiled for unknown "
                        f"sizes, on inputs of the shapes {shapes}: a layer does something else where it does not know "
                        f"a size beforehand. Narrow the sizes with input_signature."
                    )


def _refuse_random(program: Program, first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> None:
    """Raise for a model that answers twice differently: a file would be frozen at one draw, or draw its own."""
    for name, value in first.items():
        scale = max(1.0, float(np.abs(value[np.isfinite(value)], dtype=np.float64).max(initial=0.0)))
        if value.shape != second[name].shape or _movement(value, second[name]) > _REPEATABLE * scale:
            raise UnsupportedModelError(
                f"The output {name!r} of the model {program.model.name!r} changes between two identical calls: a layer "
                f"draws random numbers at inference. Draw them outside and pass them as an input, or leave them out "
                f"when training=False."
            )


def _refuse_empty_proof(program: Program, references: list[Reference]) -> None:
    """Raise for an output that is finite on no probe: any artifact that fails in the same way would pass."""
    for spec in program.signature.outputs:
        if not any(np.isfinite(reference.outputs[spec.name]).any() for reference in references):
            raise UnsupportedModelError(
                f"The output {spec.name!r} of the model {program.model.name!r} is infinite or not a number on every "
                f"probe, so that nothing can be proven: pass calibration, a few batches of real inputs on which it is "
                f"finite."
            )


def _run(function: Any, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    import tensorflow as tf

    outputs = function({name: tf.constant(value) for name, value in inputs.items()})
    return {name: np.asarray(value) for name, value in outputs.items()}


def _run_or_none(function: Any, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray] | None:
    try:
        return _run(function, inputs)
    except Exception:  # noqa: BLE001  (a layer that fixes its own dtype fails in another one: a measure less)
        return None


def _nudged(inputs: dict[str, np.ndarray], random: np.random.Generator) -> dict[str, np.ndarray]:
    """Return the inputs with every float moved to one of its two neighbours."""
    return {
        name: np.nextafter(value, np.where(random.random(value.shape) < 0.5, -np.inf, np.inf).astype(value.dtype))
        if np.issubdtype(value.dtype, np.floating)
        else value
        for name, value in inputs.items()
    }


def _movement(value: np.ndarray, other: np.ndarray) -> float:
    if value.shape != other.shape:
        return float("inf")  # how much there is depends on the values
    first, second = value.astype(np.float64), other.astype(np.float64)
    finite = np.isfinite(first) & np.isfinite(second)
    difference = np.abs(first[finite] - second[finite])
    return float(difference.max()) if difference.size else 0.0
