"""Which sizes a model takes, found by asking it: dimensions that move together, and indices that stay in range."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras
import numpy as np

from keras_nnx.export.errors import SignatureError
from keras_nnx.export.lowering.layers import float32_compute
from keras_nnx.export.signature import Program, Signature, TensorSignature

Sizes = dict[str, int]

FIRST_SIZES = (16, 8, 4, 2, 1, 32, 64, 128, 256, 12, 48, 96, 5, 10, 20, 60, 240, 7, 14, 28, 56, 224)
"""Tried in this order for all dynamic dimensions at once: powers of two, then what 3, 5 and 7 divide."""
BATCHES = (1, 3)
_FEW = 2
_RANGES = ((-100, 101), (0, 256), (-1, 11), (-1, 3))


@dataclasses.dataclass(frozen=True)
class Exploration:
    """What a model was found to take.

    Args:
        program: The program, whose signature names dimensions that have to be equal alike.
        sizes: Sizes of all dynamic dimensions on which the model runs: batches of one and three, and each other
            dimension at a second size.
        bounds: For each input of integers, the number that its ordinary values stay under: a vocabulary, or 2.
        ranges: For those without a vocabulary, the widest range of values (the end left out) that the model takes.
        least: The least ordinary integer: 0, or 1 for a model that fails on zeros, such as one that divides by them.
    """

    program: Program
    sizes: tuple[Sizes, ...]
    bounds: dict[str, int]
    ranges: dict[str, tuple[int, int]]
    least: int = 0


def explore(program: Program, samples: dict[str, np.ndarray] | None = None) -> Exploration:
    """Find sizes on which the model runs, and name the dimensions accordingly.

    Args:
        program: The model.
        samples: Real inputs by name, whose sizes are tried first.

    Raises:
        SignatureError: If the model fails on all sizes that were tried.
    """
    with float32_compute(program.model):
        asked = _Asked(program)
        first = _first_sizes(asked, samples)
        seconds = _second_sizes(asked, first)
        others = {"batch": BATCHES[1]} if "batch" in program.signature.dynamic_dimensions else {}
        sizes = [first, *([{**first, **others}] if others else []), *({**first, **changed} for changed in seconds)]
        for entry in sizes:
            asked.shapes(entry)
        names = _common_names(program.signature, seconds)
        bounds = _integer_bounds(asked, first)
        ranges = _integer_ranges(asked, first, bounds)
    signature = _renamed(program.signature, names, [(entry, asked.shapes(entry)) for entry in sizes])
    renamed = tuple({names.get(name, name): size for name, size in entry.items()} for entry in sizes)
    return Exploration(dataclasses.replace(program, signature=signature), renamed, bounds, ranges, asked.least)


class _Asked:
    """Runs a model on sizes and remembers the shapes of the answers, or why there was none."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.names = tuple(name for name in program.signature.dynamic_dimensions if name != "batch")
        self.least = 0
        self._answers: dict[tuple[tuple[str, int], ...], dict[str, np.ndarray] | Exception] = {}

    def runs(self, sizes: Sizes) -> bool:
        """Whether the model runs on `sizes`."""
        return isinstance(self._ask(sizes), dict)

    def answers(self, sizes: Sizes) -> bool:
        """Whether the model runs on `sizes`, gives something, and TensorFlow finds no fault with the shapes inside.

        A convolution over less than its kernel runs all the same, and its answer is whatever was in memory.
        """
        answer = self._ask(sizes)
        if not isinstance(answer, dict) or any(value.size == 0 for value in answer.values()):
            return False
        return _succeeds(self._trace, sizes)

    def _trace(self, sizes: Sizes) -> None:
        import tensorflow as tf

        specs = {spec.name: tf.TensorSpec(spec.resolve(sizes), spec.dtype) for spec in self.program.signature.inputs}
        tf.function(self.program.call, autograph=False).get_concrete_function(specs)

    def shapes(self, sizes: Sizes) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the outputs.

        Raises:
            SignatureError: If the model fails.
        """
        answer = self._ask(sizes)
        if isinstance(answer, dict):
            return {name: value.shape for name, value in answer.items()}
        inputs = {spec.name: list(spec.resolve(sizes)) for spec in self.program.signature.inputs}
        raise SignatureError(
            f"The model {self.program.model.name!r} itself fails on inputs of the shapes {inputs}: {answer} If it "
            f"takes some sizes only, narrow it with input_signature (on the command line, --input), or pass "
            f"calibration of a size that it takes."
        ) from answer

    def call(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run the model and return the outputs."""
        import tensorflow as tf

        outputs = self.program.call({name: tf.constant(value) for name, value in inputs.items()})
        return {name: np.asarray(value) for name, value in outputs.items()}

    def inputs(self, sizes: Sizes) -> dict[str, np.ndarray]:
        """Return inputs of zeros, or of the least integers that the model takes."""
        return {
            spec.name: np.full(spec.resolve(sizes), self.least if "int" in spec.dtype else 0, np.dtype(spec.dtype))
            for spec in self.program.signature.inputs
        }

    def _ask(self, sizes: Sizes) -> dict[str, np.ndarray] | Exception:
        key = tuple(sorted(sizes.items()))
        if key not in self._answers:
            answer = self._try(sizes)
            if isinstance(answer, Exception) and self.least == 0 and self._has_integers:
                self.least = 1
                of_ones = self._try(sizes)
                if isinstance(of_ones, Exception):
                    self.least = 0
                else:
                    answer = of_ones
            self._answers[key] = answer
        return self._answers[key]

    def _try(self, sizes: Sizes) -> dict[str, np.ndarray] | Exception:
        try:
            return self.call(self.inputs(sizes))
        except Exception as error:  # noqa: BLE001  (whatever a model raises, it does not take these sizes)
            return error

    @property
    def _has_integers(self) -> bool:
        return any("int" in spec.dtype for spec in self.program.signature.inputs)


def _first_sizes(asked: _Asked, samples: dict[str, np.ndarray] | None) -> Sizes:
    """Return sizes at a batch of one on which the model runs."""
    batch = {"batch": BATCHES[0]} if "batch" in asked.program.signature.dynamic_dimensions else {}
    candidates = [{**batch, **dict.fromkeys(asked.names, size)} for size in FIRST_SIZES] if asked.names else [batch]
    if samples is not None and asked.names:
        candidates.insert(0, {**_sample_sizes(asked.program.signature, samples), **batch})
    found = next(filter(asked.answers, candidates), None) or next(filter(asked.runs, candidates), None)
    if found is None:
        asked.shapes(candidates[0])  # raises with the reason
    assert found is not None  # for the type checker
    return found


def _sample_sizes(signature: Signature, samples: dict[str, np.ndarray]) -> Sizes:
    return {
        size: int(length)
        for spec in signature.inputs
        for size, length in zip(spec.shape, samples[spec.name].shape, strict=True)
        if isinstance(size, str)
    }


def _second_sizes(asked: _Asked, first: Sizes) -> list[Sizes]:
    """Return, for each dynamic dimension, a second size of it and of those that have to be equal to it.

    A dimension that the model takes at one size only has none.
    """
    found: list[Sizes] = []
    for name in asked.names:
        if any(name in changed for changed in found):
            continue
        changed = next(
            (
                changed
                for together in _companions(asked.names, name, found)
                for size in _other_sizes(first[name])
                if asked.answers({**first, **(changed := dict.fromkeys(together, size))})
            ),
            None,
        )
        if changed is not None:
            found.append(changed)
    return found


def _companions(names: Sequence[str], name: str, found: list[Sizes]) -> Iterable[tuple[str, ...]]:
    """Yield sets of dimensions that may have to be equal to `name`: itself, pairs, all of its axis, everything."""
    free = [other for other in names if other != name and not any(other in changed for changed in found)]
    yield (name,)
    for other in free:
        yield (name, other)
    alike = [other for other in free if _axis(other) == _axis(name)]
    if len(alike) >= _FEW:
        yield (name, *alike)
    if len(free) >= _FEW:
        yield (name, *free)


def _other_sizes(size: int) -> tuple[int, ...]:
    return tuple(dict.fromkeys(other for other in (size * 3 // 2, size + 1, size * 2, size // 2) if 0 < other != size))


def _axis(name: str) -> str:
    return name.rpartition("_")[2]


def _common_names(signature: Signature, seconds: list[Sizes]) -> dict[str, str]:
    """Return the new names of dimensions that have to be equal: their axis, if no other dimension has it."""
    names: dict[str, str] = {}
    for changed in seconds:
        if len(changed) < _FEW:
            continue
        axes = {_axis(name) for name in changed}
        others = {_axis(name) for name in signature.dynamic_dimensions if name not in changed}
        common = min(changed)
        if len(axes) == 1 and not axes & others:
            common = next(iter(axes))
        names |= dict.fromkeys(changed, common)
    return names


def _renamed(
    signature: Signature, names: dict[str, str], observed: list[tuple[Sizes, dict[str, tuple[int, ...]]]]
) -> Signature:
    """Give dimensions their common names; an output dimension that always equals one of an input gets its name."""

    def of_input(spec: TensorSignature) -> TensorSignature:
        return dataclasses.replace(spec, shape=tuple(names.get(str(size), size) for size in spec.shape))

    def of_output(spec: TensorSignature) -> TensorSignature:
        shape = list(spec.shape)
        for axis, size in enumerate(shape):
            if isinstance(size, str):
                shape[axis] = _equal_dimension([(sizes, shapes[spec.name][axis]) for sizes, shapes in observed]) or (
                    size if size != "batch" else f"{spec.name}_size"
                )
                shape[axis] = names.get(str(shape[axis]), shape[axis])
        return dataclasses.replace(spec, shape=tuple(shape))

    return Signature(tuple(map(of_input, signature.inputs)), tuple(map(of_output, signature.outputs)))


def _equal_dimension(observed: list[tuple[Sizes, int]]) -> str | None:
    """Return the first dimension whose size was always that of the output's axis, if it ever changed."""
    if len({size for _, size in observed}) < _FEW:
        return None
    return next((name for name in observed[0][0] if all(sizes[name] == size for sizes, size in observed)), None)


def _integer_bounds(asked: _Asked, sizes: Sizes) -> dict[str, int]:
    """Return for each input of integers the largest vocabulary of the model that it may index.

    An index out of range fails on the processor where it is looked up, so that the model tells its inputs apart.
    """
    layers = asked.program.model._flatten_layers()
    vocabularies = sorted({layer.input_dim for layer in layers if isinstance(layer, keras.layers.Embedding)})
    specs = asked.program.signature.inputs
    rest = asked.inputs(sizes)
    bounds = {}
    for spec in specs:
        dtype = np.dtype(spec.dtype)
        if not np.issubdtype(dtype, np.integer):
            continue
        bounds[spec.name] = asked.least + _FEW
        fitting = [size for size in vocabularies if size - 1 <= np.iinfo(dtype).max]
        for size in [] if "mask" in spec.name else reversed(fitting):
            if _succeeds(asked.call, {**rest, spec.name: np.full_like(rest[spec.name], size - 1)}):
                bounds[spec.name] = max(asked.least + 1, size)
                break
    return bounds


def _integer_ranges(asked: _Asked, sizes: Sizes, bounds: dict[str, int]) -> dict[str, tuple[int, int]]:
    """Return the widest range of each input that indexes no vocabulary: it may hold a count, a code or a time."""
    specs = {spec.name: spec for spec in asked.program.signature.inputs}
    rest = asked.inputs(sizes)
    ranges = {}
    for name in [name for name, bound in bounds.items() if bound == asked.least + _FEW and "mask" not in name]:
        limits = np.iinfo(np.dtype(specs[name].dtype))
        for start, end in _RANGES:
            low = start if asked.least == 0 else asked.least
            ends = [np.full_like(rest[name], value) for value in (low, end - 1) if limits.min <= value <= limits.max]
            if len(ends) == _FEW and all(_succeeds(asked.call, {**rest, name: value}) for value in ends):
                ranges[name] = (low, end)
                break
    return ranges


def _succeeds(call: Callable[..., Any], argument: Any) -> bool:
    try:
        call(argument)
    except Exception:  # noqa: BLE001  (the answer is that it fails)
        return False
    return True
