"""The artifacts of a trial: made, proven and measured as far as was asked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_nnx.export import ExportReport, export_model
from keras_nnx.tuning.searches.configuration import Configuration
from keras_nnx.tuning.searches.data import SearchData
from keras_nnx.tuning.searches.measure import SPREAD, Measurement, artifact_accuracy, measure_artifact
from keras_nnx.tuning.searches.objectives import Constraint, Quantity
from keras_nnx.tuning.searches.quiet import Quiet

Reports = dict[str, ExportReport]


def export_for(
    model: keras.Model,
    folder: Path,
    quantities: Sequence[Quantity],
    data: SearchData,
    configuration: Configuration,
    *,
    verify: bool,
    formats: Sequence[str] = (),
) -> Reports:
    """Export a model in all precisions and formats that are asked about, and in float32 for the target.

    Args:
        model: As it is shipped.
        folder: Each precision goes into a folder of its own in it.
        quantities: What is going to be measured.
        data: For calibration and labels.
        configuration: Of the search.
        verify: Whether to prove them.
        formats: Further formats.

    Returns:
        The reports by precision.

    Raises:
        ExportError: If it cannot be exported.
    """
    wanted: dict[str, set[str]] = {"float32": {configuration.target, *formats}}
    for entry in quantities:
        if entry.kind == "artifact":
            wanted.setdefault(entry.precision, set()).add(entry.runtime or configuration.target)
    return {
        precision: export_model(
            model,
            folder / precision,
            formats=tuple(sorted(chosen)),
            precision=precision,
            calibration=data.calibration,
            labels=data.labels or None,
            verify=verify,
            overwrite=True,
        )
        for precision, chosen in wanted.items()
    }


class Meter:
    """Measures exports; each artifact is timed once, however much is asked about it.

    Args:
        reports: The exports by precision.
        data: What they are timed and tested on.
        target: The runtime that is meant where none is named.
        quiet: What keeps the machine quiet meanwhile.
        constraints: That latencies are only compared with; None where the latencies themselves are asked for.
    """

    def __init__(
        self,
        reports: Reports,
        data: SearchData,
        target: str,
        quiet: Quiet,
        constraints: Sequence[Constraint] | None = None,
    ) -> None:
        self.reports, self.data, self.target, self.quiet = reports, data, target, quiet
        self.constraints = constraints
        self.notes: list[str] = []
        self._measured: dict[tuple[str, str], Measurement] = {}

    def measure(self, quantity: Quantity) -> float:
        """Return what an artifact is measured to be.

        Raises:
            MeasurementError: If it ends its runtime.
        """
        runtime = quantity.runtime or self.target
        report = self.reports[quantity.precision]
        artifact = report.artifacts[runtime]
        if quantity.measure == "size_mb":
            return artifact.size_bytes / 1e6
        if quantity.measure == "accuracy":
            inputs = named_inputs(self.data.inputs, report)
            return artifact_accuracy(artifact, inputs, self.data.targets, report.signature.outputs[0].name)
        measurement = self._time(runtime, quantity.precision)
        return getattr(measurement, quantity.measure)

    def _time(self, runtime: str, precision: str) -> Measurement:
        key = (runtime, precision)
        if key not in self._measured:
            report = self.reports[precision]
            one = {name: value[:1] for name, value in named_inputs(self.data.inputs, report).items()}
            with self.quiet.measuring():
                bounds = self._bounds(runtime, precision)
                found = measure_artifact(runtime, report.artifacts[runtime].path, one, bounds=bounds)
            self._measured[key] = found
            if not found.settled:
                self.notes.append(
                    f"the latency of {precision} in {runtime} did not settle: five rounds were {found.spread:.1%} "
                    f"apart at best, over {SPREAD:.0%}"
                )
        return self._measured[key]

    def _bounds(self, runtime: str, precision: str) -> list[float] | None:
        if self.constraints is None:
            return None
        wanted = ("artifact", runtime, precision, "latency_ms")
        return [entry.bound for entry in self.constraints if entry.quantity.meant(self.target) == wanted]


def named_inputs(inputs: Any, report: ExportReport) -> dict[str, np.ndarray]:
    """Return examples by the names, and in the types, of an export's inputs."""
    signature = report.signature.inputs
    if not isinstance(inputs, dict):
        values = inputs if isinstance(inputs, list | tuple) else [inputs]
        inputs = {entry.name: value for entry, value in zip(signature, values, strict=True)}
    missing = [entry.name for entry in signature if entry.name not in inputs]
    if missing:
        raise ValueError(
            f"The data have no input {', '.join(missing)}, which the model takes; they have {list(inputs)}."
        )
    return {entry.name: np.asarray(inputs[entry.name]).astype(entry.dtype) for entry in signature}


def sound(value: float | None) -> bool:
    """Return whether a number can be compared."""
    return value is not None and math.isfinite(value)
