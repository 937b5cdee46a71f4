"""One format: converted, inspected, proven, timed."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from keras_nnx.export import inspection
from keras_nnx.export._worker import release
from keras_nnx.export.arguments import Options
from keras_nnx.export.benchmark import measure_latency
from keras_nnx.export.conversion.saved_model import write_saved_model
from keras_nnx.export.errors import InvalidArtifactError, ParityError, RuntimeFailureError, UnsupportedModelError
from keras_nnx.export.interrupts import held_back
from keras_nnx.export.lowering.graphs import FrozenGraph
from keras_nnx.export.lowering.recurrence import Plan
from keras_nnx.export.manifest import ARTIFACT_NAMES, hash_files, versions
from keras_nnx.export.proof.comparison import Parity, signal_to_noise
from keras_nnx.export.proof.divergence import first_diverging_layer
from keras_nnx.export.proof.probes import Probe
from keras_nnx.export.proof.reference import Reference, with_more_noise
from keras_nnx.export.proof.runtimes import Runtime
from keras_nnx.export.quantization.selection import StaticQuantizer, fewest_kept
from keras_nnx.export.report import Artifact
from keras_nnx.export.signature import Program
from keras_nnx.export.tracing import trace
from keras_nnx.export.verify import inspect_artifact, open_runtime, prove, run_probes
from keras_nnx.export.workers import Worker

_LATENCY_SECONDS = 0.5
_LATENCY_CALLS = 200
_WRITE_NOTHING = "Nothing was written: leave this format out, or change the layer that the target computes differently."


class Stream(Protocol):
    """What is proven of a step model beyond its single calls."""

    @property
    def step(self) -> Probe:
        """One step, whose time is taken."""

    def prove(self, target: str, precision: str, runtime: Runtime) -> Parity:
        """Feed sequences in chunks, and return how the answers compare to those to the whole."""


@dataclasses.dataclass
class Job:
    """What making an artifact needs to know.

    Args:
        program: The model.
        stage: The directory that is being filled.
        options: What was asked for.
        worker: A process that knows TensorFlow.
        samples: Real inputs, if the caller gave some.
        references: Probes with the model's answers.
        notes: What the report has to say.
        noise_is_complete: Whether the noise in the references is that of the weights and of float64, too.
        stream: What a step model has to show beside: that sequences in chunks give what they give as a whole.
    """

    program: Program
    stage: Path
    options: Options
    worker: Worker
    samples: dict[str, np.ndarray] | None = None
    references: list[Reference] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)
    noise_is_complete: bool = False
    stream: Stream | None = None

    def make(self, target: str) -> Artifact:
        """Convert, inspect, prove and time one format."""
        path = self.stage / ARTIFACT_NAMES[target]
        precision = "float32" if target == "saved_model" else self.options.precision
        operators, parity = self._make_float32(target, path)
        runnable = self._is_runnable(operators)
        kept: tuple[str, ...] = ()
        if precision != "float32":
            kept = self._reduce(target, path)
            operators = self._inspect(target, path)
            parity = self._prove(target, path, precision) if runnable else None
        stream = None
        if runnable and self.stream is not None:
            stream = self.stream.prove(target, precision, open_runtime(target, path, self.worker))
        latency = None
        if runnable:
            runtime = open_runtime(target, path, self.worker)
            latency = measure_latency(runtime, self.references[0].probe.inputs, _LATENCY_SECONDS, _LATENCY_CALLS)
        elif self.options.verify:
            self.notes.append(
                f"{target}: the file holds operators of TensorFlow ({_flex(operators)}). Only a runtime with the Flex "
                f"delegate runs them, and there is none here: it is not proven."
            )
        digest, size, files = hash_files(self.stage, path.name)
        return Artifact(
            format=target,
            path=path,
            precision=precision,
            sha256=digest,
            size_bytes=size,
            files=files,
            operators=operators,
            float_operators=inspection.float_operators(path, target) if precision.startswith("int8") else None,
            kept_in_float=kept,
            parity=parity,
            stream=stream,
            latency_ms=latency,
        )

    def _convert(self, target: str, path: Path, *, compact: bool = True) -> None:
        self._write(target, path, compact)
        with held_back():
            release()

    def _write(self, target: str, path: Path, compact: bool) -> None:
        if target == "saved_model":
            write_saved_model(self.program, path)
            return
        if target == "onnx":
            from keras_nnx.export.conversion.onnx import convert_to_onnx, save_onnx

            proto = convert_to_onnx(
                self.program.model,
                self._traced(target),
                self.program.signature,
                self.options.opset,
                compact=compact,
            )
            save_onnx(proto, path, self._properties())
        else:
            from keras_nnx.export.conversion.tflite import convert_to_tflite

            convert_to_tflite(self.program, self._traced(target), path, self.worker, allow_flex=self.options.allow_flex)

    def _traced(self, target: str) -> FrozenGraph:
        plan = self._plan(target)
        frozen = trace(self.program, target, plan)
        if (note := plan.note()) and note not in self.notes:
            self.notes.append(note)
        return frozen

    def _plan(self, target: str) -> Plan:
        return Plan(target, self.options.recurrent, self.options.precision)

    def _properties(self) -> dict[str, Any]:
        """Return what an ONNX file says about itself."""
        return {
            "labels": list(self.options.labels),
            "metadata": self.options.metadata,
            "signature": self.program.signature.to_dict(),
            "versions": versions(),
        }

    def _inspect(self, target: str, path: Path) -> dict[str, int]:
        return inspect_artifact(
            target, path, self.program.signature, self.program.model, allow_flex=self.options.allow_flex
        )

    def _is_runnable(self, operators: dict[str, int]) -> bool:
        return self.options.verify and not inspection.has_flex(operators)

    def _make_float32(self, target: str, path: Path) -> tuple[dict[str, int], Any]:
        """Make the float32 file; an ONNX file that is not right in its compact form is written the long way."""
        self._convert(target, path)
        try:
            return self._checked(target, path, explain=target != "onnx")
        except (InvalidArtifactError, ParityError, RuntimeFailureError) as error:
            if target != "onnx":
                raise
            self._convert(target, path, compact=False)
            checked = self._checked(target, path, explain=True)
            self.notes.append(
                f"onnx: written operator by operator, since the file with fused operators was not right: {error}"
            )
            return checked

    def _checked(self, target: str, path: Path, *, explain: bool) -> tuple[dict[str, int], Any]:
        """Inspect and prove a float32 file."""
        operators = self._inspect(target, path)
        parity = self._prove(target, path, "float32", explain=explain) if self._is_runnable(operators) else None
        return operators, parity

    def _prove(self, target: str, path: Path, precision: str, *, explain: bool = False) -> Any:
        runtime = open_runtime(target, path, self.worker)
        try:
            return prove(
                target, precision, runtime, self.references, self.options.tolerance, self.options.sqnr_floor_db
            )
        except ParityError as error:
            if precision == "float32" and not self.noise_is_complete:
                self.noise_is_complete = True
                self.references = with_more_noise(self.program, self.references)
                return self._prove(target, path, precision, explain=explain)
            if explain:
                layer, said = first_diverging_layer(
                    self.program, target, self.references, error.probe, self.worker, self._plan(target)
                )
                raise error.with_remedy(f"{said} {_WRITE_NOTHING}", layer) from error
            raise error.with_remedy(_WRITE_NOTHING) from error

    def _reduce(self, target: str, path: Path) -> tuple[str, ...]:
        """Put a file of lower precision in the place of a float32 one, and return the layers that stay in float."""
        precision, before = self.options.precision, _size(path)
        kept: tuple[str, ...] = ()
        with tempfile.TemporaryDirectory(prefix="keras_nnx_") as folder:
            if precision == "int8":
                kept = self._reduce_to_int8(target, path, Path(folder))
            elif target == "tflite":
                from keras_nnx.export.quantization.tflite import quantize_weights

                quantize_weights(path, precision)
            else:
                from keras_nnx.export.quantization.onnx_weights import quantize_weights as quantize_onnx

                quantize_onnx(path, precision, Path(folder))
        if target == "tflite":
            from keras_nnx.export.conversion.tflite_interface import declare_output_shapes

            declare_output_shapes(path, self.program.signature)
        if not inspection.is_smaller(path, target, precision):
            raise UnsupportedModelError(
                f"{target}: {precision} applies to none of the operators of this model: export it in float32."
            )
        if (after := _size(path)) > before:
            self.notes.append(
                f"{target}: the file in {precision} is larger than the one in float32 ({after:,} over {before:,} "
                f"bytes): its scales take more than int8 saves."
            )
        if target == "onnx" and precision.startswith("int8"):
            from keras_nnx.export.quantization.onnx_floats import computed_in_float

            if floats := computed_in_float(path, self.program.model):
                self.notes.append(f"onnx: computed in float: {', '.join(floats)}.")
        return kept

    def _reduce_to_int8(self, target: str, path: Path, folder: Path) -> tuple[str, ...]:
        quantizer, floor = self._quantizer(target, path, folder), self.options.sqnr_floor_db
        quantized = folder / f"quantized{path.suffix}"
        kept: list[str] | None = []
        if floor is not None:
            kept = fewest_kept(
                quantizer.layers, lambda some: self._signal_to_noise(target, quantizer, quantized, some), floor
            )
            if kept is None or len(kept) == len(quantizer.layers):
                raise UnsupportedModelError(
                    f"{target}: int8 does not reach a signal-to-noise ratio of {floor:g} dB with any layer in int8: "
                    f"ask for less with sqnr_floor_db, or export in float32."
                )
        quantizer.write(quantized, kept or ())
        path.write_bytes(quantized.read_bytes())
        return tuple(kept or ())

    def _quantizer(self, target: str, path: Path, folder: Path) -> StaticQuantizer:
        assert self.samples is not None  # checked at the start
        batch = self.program.signature.inputs[0].shape[0]
        fixed = None if isinstance(batch, str) else batch
        if target == "onnx":
            from keras_nnx.export.quantization.onnx_static import OnnxStatic

            return OnnxStatic(path, self.samples, folder, fixed)
        from keras_nnx.export.quantization.tflite import TfliteStatic

        return TfliteStatic(path, self.samples, self.program.model, fixed)

    def _signal_to_noise(self, target: str, quantizer: StaticQuantizer, path: Path, kept: Collection[str]) -> float:
        quantizer.write(path, kept)
        runtime = open_runtime(target, path, self.worker)
        return signal_to_noise(self.references, run_probes(target, "int8", runtime, self.references))


def _size(path: Path) -> int:
    """Return the bytes of a file, and of its weights where they lie beside it."""
    return sum(file.stat().st_size for file in (path, path.with_name(f"{path.name}.data")) if file.exists())


def _flex(operators: dict[str, int]) -> str:
    return ", ".join(sorted(name.removeprefix("CUSTOM ") for name in operators if inspection.has_flex([name])))
