"""The verdict: how far an artifact is from the model, and whether that is allowed."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from keras_nnx.export.errors import ParityError
from keras_nnx.export.proof.reference import Reference

TOLERANCE = 1e-5
"""Allowed difference in float32, times max(1, |reference|)."""
NOISE_MARGIN = 4.0
"""The noise is the largest of a few movements; the next may be larger by about this factor."""
SQNR_FLOORS_DB = {"float16": 30.0, "int8_dynamic": 10.0, "int8": 10.0}
"""Below these signal-to-noise ratios an artifact of lower precision is called wrong rather than inexact."""

_REMEDIES = {
    "float16": "Some weights are too large or too small for float16: export in float32.",
    "int8_dynamic": "Export in float16 or float32.",
    "int8": (
        "Calibrate on more representative batches, pass sqnr_floor_db to keep the layers that cost most in float, or "
        "export in float32."
    ),
}
_FEW_EXAMPLES = 8
_CONSTANT = 1e-12


@dataclasses.dataclass(frozen=True)
class Parity:
    """How an artifact's answers compare to the model's.

    Args:
        passed: Whether every answer was within the bound.
        bound: What held: `"tolerance"`, `"noise"` (the model's own float noise, where larger) or `"sqnr"`.
        max_abs_error: Largest absolute difference.
        max_rel_error: Largest difference over `max(1, |reference|)`.
        noise: Largest movement of the model's own answer under float noise.
        batches: Number of probes, each run twice.
        sqnr_db: Signal to quantisation noise on the samples, in decibels; None for float32.
        top1_agreement: Share of samples with the same largest score; None where there are no scores.
        worst_output: Name of the output with the largest relative difference.
    """

    passed: bool
    bound: str
    max_abs_error: float
    max_rel_error: float
    noise: float
    batches: int
    sqnr_db: float | None = None
    top1_agreement: float | None = None
    worst_output: str = ""


def compare(
    target: str, references: list[Reference], answers: list[list[dict[str, np.ndarray]]], tolerance: float
) -> Parity:
    """Return the parity of float32 answers, several for each reference (identical calls in a row).

    Raises:
        ParityError: If an answer has another shape or dtype, or is out of bounds.
    """
    worst = {"absolute": 0.0, "relative": 0.0, "noise": 0.0}
    worst_output, bound = "", "tolerance"
    for reference, calls in zip(references, answers, strict=True):
        for call, answer in enumerate(calls):
            for name, expected in reference.outputs.items():
                _same_kind(target, name, expected, answer[name])
                _repeatable(target, name, calls[0][name], answer[name], tolerance)
                difference, scale = _difference(expected, answer[name])
                noise = NOISE_MARGIN * reference.noise[name]
                relative = float((difference / scale).max(initial=0.0))
                absolute = float(difference.max(initial=0.0))
                if not np.all(difference <= np.maximum(tolerance * scale, noise)):
                    raise ParityError(
                        f"{target}: the output {name!r} differs from the model by {absolute:.3g} on the probe "
                        f"{reference.probe.name!r} (call {call + 1}); allowed are {tolerance:g} * max(1, |reference|), "
                        f"or {noise:.3g} for the model's own float noise.",
                        target,
                        name,
                        absolute,
                        reference.probe.name,
                    )
                if relative > tolerance:
                    bound = "noise"
                if relative >= worst["relative"]:
                    worst_output = name
                worst["absolute"] = max(worst["absolute"], absolute)
                worst["relative"] = max(worst["relative"], relative)
                worst["noise"] = max(worst["noise"], reference.noise[name])
    return Parity(
        True, bound, worst["absolute"], worst["relative"], worst["noise"], len(references), worst_output=worst_output
    )


def compare_quantized(
    target: str,
    precision: str,
    references: list[Reference],
    answers: list[list[dict[str, np.ndarray]]],
    floor_db: float,
) -> Parity:
    """Return the parity of quantised answers: the ratio of signal to noise on the samples decides.

    Where the caller gave no samples, it is the ratio on ordinary inputs. The other probes lie outside the calibrated
    range: there the answers have to be finite and repeatable only.

    Raises:
        ParityError: If the ratio is under `floor_db`, or an answer is not finite, of another shape, or not repeatable.
    """
    for reference, calls in zip(references, answers, strict=True):
        for name, value in reference.outputs.items():
            _same_kind(target, name, value, calls[0][name])
            _sane(target, name, value, calls)
    results = _measured(references, answers)
    ratios = {name: signal_to_noise_db(*pair) for name, pair in results.items()}
    worst = min(ratios, key=lambda name: ratios[name])
    difference, scale = _difference(*results[worst])
    parity = Parity(
        passed=ratios[worst] >= floor_db,
        bound="sqnr",
        max_abs_error=float(difference.max()),
        max_rel_error=float((difference / scale).max()),
        noise=max(value for reference in references for value in reference.noise.values()),
        batches=len(references),
        sqnr_db=ratios[worst],
        top1_agreement=_top1(*results[worst]),
        worst_output=worst,
    )
    if not parity.passed:
        raise ParityError(
            f"{target}: the {precision} output {worst!r} has a signal-to-noise ratio of {ratios[worst]:.1f} dB, under "
            f"the floor of {floor_db:g} dB. {_REMEDIES[precision]}",
            target,
            worst,
            parity.max_abs_error,
        )
    return parity


def signal_to_noise(references: list[Reference], answers: list[list[dict[str, np.ndarray]]]) -> float:
    """Return the ratio of signal to noise of the worst output, in decibels."""
    return min(signal_to_noise_db(*pair) for pair in _measured(references, answers).values())


def signal_to_noise_db(expected: np.ndarray, received: np.ndarray) -> float:
    """Return 10 log10(|signal|^2 / |expected - received|^2); 200 at most, for equal answers.

    The signal is what changes from one example to the next: an offset that all share says nothing, and would hide that
    the rest is lost. Of fewer than `_FEW_EXAMPLES` examples, or of answers that do not change, it is the whole answer.
    """
    reference = expected.astype(np.float64)
    noise = float(np.square(reference - received.astype(np.float64)).sum())
    signal = float(np.square(reference).sum())
    if reference.ndim > 0 and len(reference) >= _FEW_EXAMPLES:
        varying = float(np.square(reference - reference.mean(axis=0)).sum())
        signal = varying if varying > _CONSTANT * signal else signal
    if noise == 0:
        return 200.0
    return float(np.clip(10 * np.log10(max(signal, 1e-300) / noise), -200, 200))


def _measured(
    references: list[Reference], answers: list[list[dict[str, np.ndarray]]]
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return for each output what was expected and what was received, on the probes that show the usual inputs."""
    usual = "samples" if any(reference.probe.name.startswith("samples") for reference in references) else "many"
    expected: dict[str, list[np.ndarray]] = {}
    received: dict[str, list[np.ndarray]] = {}
    for reference, calls in zip(references, answers, strict=True):
        if reference.probe.name.startswith(usual):
            for name, value in reference.outputs.items():
                expected.setdefault(name, []).append(np.atleast_1d(value))
                received.setdefault(name, []).append(np.atleast_1d(calls[0][name]))
    return {name: (np.concatenate(rows), np.concatenate(received[name])) for name, rows in expected.items()}


def _difference(expected: np.ndarray, received: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return |expected - received| and max(1, |expected|); what is equally not finite does not differ."""
    first, second = np.atleast_1d(expected).astype(np.float64), np.atleast_1d(received).astype(np.float64)
    with np.errstate(invalid="ignore"):
        difference = np.abs(first - second)
    same = (first == second) | (np.isnan(first) & np.isnan(second))
    difference = np.where(same, 0.0, np.where(np.isnan(difference), np.inf, difference))
    scale = np.maximum(1.0, np.where(np.isfinite(first), np.abs(first), 1.0))
    return difference, scale


def _repeatable(target: str, name: str, first: np.ndarray, other: np.ndarray, tolerance: float) -> None:
    difference, scale = _difference(first, other)
    if not np.all(difference <= tolerance * scale):
        raise ParityError(
            f"{target}: the output {name!r} changes by {difference.max():.3g} between two identical calls: the file "
            f"keeps state or draws random numbers.",
            target,
            name,
            float(difference.max()),
        )


def _same_kind(target: str, name: str, expected: np.ndarray, received: Any) -> None:
    if received.shape != expected.shape or received.dtype != expected.dtype:
        raise ParityError(
            f"{target}: the output {name!r} is {received.dtype}{list(received.shape)}, but the model gives "
            f"{expected.dtype}{list(expected.shape)}.",
            target,
            name,
            float("inf"),
        )


def _sane(target: str, name: str, expected: np.ndarray, calls: list[dict[str, np.ndarray]]) -> None:
    if np.isfinite(expected).all() and not np.isfinite(calls[0][name]).all():
        raise ParityError(f"{target}: the quantised output {name!r} is not finite.", target, name, float("inf"))
    if any(not np.array_equal(calls[0][name], call[name], equal_nan=True) for call in calls[1:]):
        raise ParityError(
            f"{target}: the output {name!r} changes between two identical calls.", target, name, float("inf")
        )


def _top1(expected: np.ndarray, received: np.ndarray) -> float | None:
    if expected.ndim != 2 or expected.shape[1] < 2:
        return None
    return float((expected.argmax(axis=1) == received.argmax(axis=1)).mean())
