"""What the model itself answers, and how exactly it can be said to."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from keras_nnx.export.errors import SignatureError
from keras_nnx.export.lowering.layers import float32_compute
from keras_nnx.export.proof.probes import Probe
from keras_nnx.export.signature import Program
from keras_nnx.export.tracing import tensor_specifications, traceable


@dataclasses.dataclass(frozen=True)
class Reference:
    """The model's outputs for one probe, and for each the largest movement that float noise alone makes."""

    probe: Probe
    outputs: dict[str, np.ndarray]
    noise: dict[str, float]


def make_references(program: Program, probes: list[Probe], seed: int = 0) -> list[Reference]:
    """Run the model on every probe: eagerly for the answer; compiled, and nudged in the last bits, for the noise."""
    random = np.random.default_rng(seed)
    references = []
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
            others = [_run(compiled, probe.inputs)]
            others += [_run(compiled, _nudged(probe.inputs, random)) for _ in range(2)]
            noise = {name: max(_movement(value, other[name]) for other in others) for name, value in outputs.items()}
            references.append(Reference(probe, outputs, noise))
    return references


def _run(function: Any, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    import tensorflow as tf

    outputs = function({name: tf.constant(value) for name, value in inputs.items()})
    return {name: np.asarray(value) for name, value in outputs.items()}


def _nudged(inputs: dict[str, np.ndarray], random: np.random.Generator) -> dict[str, np.ndarray]:
    """Return the inputs with every float moved to one of its two neighbours."""
    return {
        name: np.nextafter(value, np.where(random.random(value.shape) < 0.5, -np.inf, np.inf).astype(value.dtype))
        if np.issubdtype(value.dtype, np.floating)
        else value
        for name, value in inputs.items()
    }


def _movement(value: np.ndarray, other: np.ndarray) -> float:
    finite = np.isfinite(value.astype(np.float64)) & np.isfinite(other.astype(np.float64))
    difference = np.abs(value.astype(np.float64) - other.astype(np.float64))[finite]
    return float(difference.max()) if difference.size else 0.0
