"""Seeded inputs that make a wrong artifact show."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from keras_nnx.export.signature import Signature, TensorSignature

DYNAMIC_SIZES = (16, 24)
"""Two sizes for every dynamic dimension except the batch."""
LARGE = 100.0
MOST_SAMPLES = 128
SAMPLE_BYTES = 8_000_000


@dataclasses.dataclass(frozen=True)
class Probe:
    """One set of inputs, by name."""

    name: str
    inputs: dict[str, np.ndarray]


def make_probes(
    model: keras.Model, signature: Signature, samples: dict[str, np.ndarray] | None = None, seed: int = 0
) -> list[Probe]:
    """Return the probes for a model.

    Ordinary, zero and large values, trailing padding, integers within the vocabulary; batches of 1 and 3; a second
    size for each other dynamic dimension; and real samples where the caller gave some.

    Args:
        model: The model, searched for vocabularies and mask values.
        signature: Its signature.
        samples: Real inputs by name, each with a leading batch axis.
        seed: Seed of all values.
    """
    random = np.random.default_rng(seed)
    vocabulary = _vocabulary(model)
    probes = []
    for index, sizes in enumerate(_sizes(signature)):
        values = {spec.name: _ordinary(spec, sizes, random, vocabulary) for spec in signature.inputs}
        probes.append(Probe(f"ordinary_{index}", values))
    ordinary = probes[-1].inputs
    probes.append(Probe("zero", {name: np.zeros_like(value) for name, value in ordinary.items()}))
    if any(np.issubdtype(value.dtype, np.floating) for value in ordinary.values()):
        probes.append(Probe("large", {name: _scaled(value, LARGE) for name, value in ordinary.items()}))
    padding = _padding(model)
    if padding is not None:
        probes.append(Probe("masked", {name: _padded(value, padding) for name, value in ordinary.items()}))
    if samples is not None:
        probes += _sample_probes(signature, samples)
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


def _sizes(signature: Signature) -> Iterator[dict[str, int]]:
    """Yield sizes for the dynamic dimensions: batches of 1 and 3, then each other dimension once at its second size."""
    others = [name for name in signature.dynamic_dimensions if name != "batch"]
    first = dict.fromkeys(others, DYNAMIC_SIZES[0])
    yield {**first, "batch": 1}
    if "batch" in signature.dynamic_dimensions:
        yield {**first, "batch": 3}
    for name in others:
        yield {**first, "batch": 1, name: DYNAMIC_SIZES[1]}


def _ordinary(spec: TensorSignature, sizes: dict[str, int], random: np.random.Generator, vocabulary: int) -> np.ndarray:
    shape = spec.resolve(sizes)
    if spec.dtype == "bool":
        return random.random(shape) < 0.5
    if np.issubdtype(np.dtype(spec.dtype), np.integer):
        return random.integers(0, vocabulary, shape).astype(spec.dtype)
    return random.standard_normal(shape).astype(spec.dtype)


def _scaled(value: np.ndarray, factor: float) -> np.ndarray:
    return (value * factor).astype(value.dtype) if np.issubdtype(value.dtype, np.floating) else value


def _padded(value: np.ndarray, padding: float) -> np.ndarray:
    """Return `value` with the last third of its second axis set to the padding value."""
    if value.ndim < 2 or value.dtype == bool:
        return value
    result = value.copy()
    result[:, value.shape[1] - value.shape[1] // 3 :] = padding
    return result


def _vocabulary(model: keras.Model) -> int:
    sizes = [layer.input_dim for layer in model._flatten_layers() if isinstance(layer, keras.layers.Embedding)]
    return max(1, min(sizes)) if sizes else 2


def _padding(model: keras.Model) -> Any:
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.Masking):
            return layer.mask_value
        if isinstance(layer, keras.layers.Embedding) and layer.mask_zero:
            return 0
    return None
