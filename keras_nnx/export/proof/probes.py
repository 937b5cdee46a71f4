"""Seeded inputs that make a wrong artifact show."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import numpy as np

from keras_nnx.export.dimensions import Exploration, Sizes
from keras_nnx.export.signature import Signature, TensorSignature

LARGE = 100.0
MOST_SAMPLES = 128
MANY = 16
SAMPLE_BYTES = 8_000_000
_SCALES = 3


@dataclasses.dataclass(frozen=True)
class Probe:
    """One set of inputs, by name."""

    name: str
    inputs: dict[str, np.ndarray]


def make_probes(
    exploration: Exploration, samples: dict[str, np.ndarray] | None = None, seed: int = 0, *, many: bool = False
) -> list[Probe]:
    """Return the probes for a model.

    Ordinary, zero, large and equal values, trailing padding, integers within the vocabulary or else of a wide range;
    batches of 1 and 3; a second size for each other dynamic dimension; and real samples where the caller gave some.

    Args:
        exploration: The model, and what it takes.
        samples: Real inputs by name, each with a leading batch axis.
        seed: Seed of all values.
        many: Whether a larger batch of ordinary values stands in for real samples, if there are none.
    """
    random = np.random.default_rng(seed)
    signature = exploration.program.signature
    probes = []
    for index, sizes in enumerate(exploration.sizes):
        values = {spec.name: _ordinary(spec, sizes, random, exploration) for spec in signature.inputs}
        probes.append(Probe(f"ordinary_{index}", values))
    ordinary = probes[min(1, len(probes) - 1)].inputs
    probes.append(Probe("zero", {name: _zero(value, exploration.least) for name, value in ordinary.items()}))
    if any(np.issubdtype(value.dtype, np.floating) for value in ordinary.values()):
        probes.append(Probe("large", {name: _scaled(value, LARGE) for name, value in ordinary.items()}))
        # Halves make equal values, on which sorting and comparing decide.
        probes.append(Probe("ties", {name: _halves(value) for name, value in ordinary.items()}))
    if exploration.ranges:
        wide = {name: random.integers(*limits, ordinary[name].shape) for name, limits in exploration.ranges.items()}
        probes.append(
            Probe("wide", {name: wide.get(name, value).astype(value.dtype) for name, value in ordinary.items()})
        )
    padding = _padding(exploration.program.model)
    if padding is not None or any(_is_mask(name) for name in ordinary):
        padded = {name: _padded(name, value, padding) for name, value in ordinary.items()}
        probes.append(Probe("masked", padded))
    if samples is not None:
        probes += _sample_probes(signature, samples)
    elif many:
        sizes = exploration.sizes[0]
        batch = signature.inputs[0].shape[0] if signature.inputs[0].shape else None
        larger = {**sizes, batch: MANY} if isinstance(batch, str) else sizes
        values = {spec.name: _ordinary(spec, larger, random, exploration) for spec in signature.inputs}
        probes.append(Probe("many", {name: _of_many_scales(value) for name, value in values.items()}))
    return probes


def _sample_probes(signature: Signature, samples: dict[str, np.ndarray]) -> list[Probe]:
    """Return real samples as probes: one large batch, as far as it stays small in bytes; or single fixed batches."""
    bytes_each = sum(value[:1].nbytes for value in samples.values())
    available = len(next(iter(samples.values())))
    count = min(available, MOST_SAMPLES, max(3, SAMPLE_BYTES // bytes_each))
    fixed = signature.inputs[0].shape[0]
    step = count if isinstance(fixed, str) else fixed
    return [
        Probe(f"samples_{start // step}", {name: value[start : start + step] for name, value in samples.items()})
        for start in range(0, count - step + 1, step)
    ]


def _ordinary(spec: TensorSignature, sizes: Sizes, random: np.random.Generator, exploration: Exploration) -> np.ndarray:
    shape = spec.resolve(sizes)
    if spec.dtype == "bool":
        return np.asarray(random.random(shape) < 0.5)
    if np.issubdtype(np.dtype(spec.dtype), np.integer):
        return np.asarray(random.integers(exploration.least, exploration.bounds[spec.name], shape), spec.dtype)
    return np.asarray(random.standard_normal(shape), spec.dtype)


def _zero(value: np.ndarray, least: int) -> np.ndarray:
    return np.full_like(value, least if np.issubdtype(value.dtype, np.integer) else 0)


def _scaled(value: np.ndarray, factor: float) -> np.ndarray:
    return np.asarray(value * factor, value.dtype) if np.issubdtype(value.dtype, np.floating) else value


def _of_many_scales(value: np.ndarray) -> np.ndarray:
    """Return `value` with its rows multiplied by 1, 10, 100, 1, ...: nobody said which inputs are usual."""
    if not np.issubdtype(value.dtype, np.floating) or value.ndim == 0:
        return value
    scales = np.geomspace(1.0, LARGE, _SCALES)[np.arange(len(value)) % _SCALES]
    return (value * scales.reshape(-1, *[1] * (value.ndim - 1))).astype(value.dtype)


def _halves(value: np.ndarray) -> np.ndarray:
    return np.asarray(np.round(value * 2) / 2, value.dtype) if np.issubdtype(value.dtype, np.floating) else value


def _padded(name: str, value: np.ndarray, padding: Any) -> np.ndarray:
    """Return `value` with the last third of its second axis padded: a mask is true before, and false there."""
    if value.ndim < 2:
        return value
    result = np.ones_like(value) if _is_mask(name) else value.copy()
    start = value.shape[1] - value.shape[1] // 3
    if _is_mask(name):
        result[:, start:] = 0
    elif padding is not None and value.dtype != bool:
        result[:, start:] = padding
    return result


def _is_mask(name: str) -> bool:
    return "mask" in name


def _padding(model: keras.Model) -> Any:
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.Masking):
            return layer.mask_value
        if isinstance(layer, keras.layers.Embedding) and layer.mask_zero:
            return 0
    return None
