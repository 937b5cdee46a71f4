"""Lower precisions for TFLite, by ai-edge-quantizer, from the float32 file."""

from __future__ import annotations

import contextlib
import functools
import re
import warnings
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_nnx._stderr import held_back_stderr
from keras_nnx.export.errors import ConverterCrashError
from keras_nnx.export.inspection import tflite_operators
from keras_nnx.export.layer_paths import layer_path
from keras_nnx.export.quantization import SMALLEST
from keras_nnx.export.quantization.tflite_outputs import with_outputs_apart, with_unread_kept

_BATCH = 32
_EVERYTHING = ".*"
_BITS = 8
_IN_FLOAT = ("INPUT", "OUTPUT", "DIV")
"""What is never quantised: both ends, and divisions, which the runtime refuses where a divisor is the 0 of int8."""


class TfliteStatic:
    """Makes int8 files of a float32 one, calibrated on samples; inputs and outputs stay float32.

    Args:
        path: The float32 file.
        samples: Real inputs by name, with a batch axis.
        model: The model, to name its layers.
        fixed_batch: The batch that the model takes, if it takes only one.

    Raises:
        ConverterCrashError: If ai-edge-quantizer cannot calibrate the model.
    """

    def __init__(
        self, path: Path, samples: dict[str, np.ndarray], model: keras.Model, fixed_batch: int | None = None
    ) -> None:
        self._content = with_outputs_apart(path.read_bytes())
        self._tensors: dict[str, list[str]] = {}
        self._in_loops: list[str] = []
        for operator in tflite_operators(path):
            if operator.subgraph:
                self._in_loops.extend(operator.outputs)
            # The names of results are the converter's own; those of the weights tell as well.
            names = (*operator.outputs, *reversed(operator.inputs))
            layer = next((found for name in names if (found := layer_path(model, name))), operator.outputs[0])
            self._tensors.setdefault(layer, []).extend(operator.outputs)
        self.layers = list(self._tensors)
        batches = list(_batches(samples, fixed_batch or _BATCH))
        try:
            with _quiet():
                measured = self._quantizer((), with_unread_kept(self._content))
                # The quantiser takes a moving average of batches' ranges, which of single samples is far too narrow.
                groups = [batches] if fixed_batch is None else [[batch] for batch in batches]
                ranges = [measured.calibrate({"serving_default": group}) for group in groups]
                self._ranges = _with_some_width(functools.reduce(_widened, ranges))
        except Exception as error:
            raise _failed("int8", error) from error

    def write(self, path: Path, kept: Collection[str] = ()) -> None:
        """Write the int8 file with the layers `kept` in float."""
        path.write_bytes(_run("int8", self._quantizer(kept), self._ranges))

    def _quantizer(self, kept: Collection[str], content: bytes | None = None) -> Any:
        from ai_edge_quantizer import algorithm_manager, qtyping, quantizer

        names, without = qtyping.TFLOperationName, algorithm_manager.AlgorithmName.NO_QUANTIZE
        result = quantizer.Quantizer(bytearray(self._content if content is None else content))
        result.add_static_config(_EVERYTHING, names.ALL_SUPPORTED, _BITS, _BITS)
        for name in _IN_FLOAT:
            result.update_quantization_recipe(_EVERYTHING, names[name], algorithm_key=without)
        if self._in_loops:
            # No range is measured in the body of a loop: its activations are quantised as it runs.
            inside = f"(^|;)({'|'.join(map(re.escape, dict.fromkeys(self._in_loops)))})(;|$)"
            result.update_quantization_recipe(inside, names.ALL_SUPPORTED, algorithm_key=without)
            # Under the same expression the second would drop the first, for what can only be quantised by ranges.
            result.update_quantization_recipe(f"(?:{inside})", names.ALL_SUPPORTED, _as_it_runs(qtyping))
        for layer in kept:
            for tensor in self._tensors[layer]:
                result.update_quantization_recipe(
                    f"(^|;){re.escape(tensor)}(;|$)", names.ALL_SUPPORTED, algorithm_key=without
                )
        return result


def _widened(ranges: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """Return ranges that hold both."""
    ends = {"min": np.minimum, "max": np.maximum}
    return {
        name: {key: ends[key](value, more[name][key]) if key in ends else value for key, value in found.items()}
        for name, found in ranges.items()
    }


def _with_some_width(ranges: dict[str, Any]) -> dict[str, Any]:
    """Give tensors that were always zero, as first states are, a range: the scale of a bias is a product with theirs.

    With no range it would be so small that no bias had room in 32 bits.
    """
    wide = {"min": -1.0, "max": 1.0}
    return {
        name: {key: np.full_like(value, wide[key]) if key in wide else value for key, value in found.items()}
        if "min" in found and not np.any(found["min"]) and not np.any(found["max"])
        else found
        for name, found in ranges.items()
    }


def quantize_weights(path: Path, precision: str) -> None:
    """Replace a float32 file by one with smaller weights: in float16, or in int8 with ranges taken as it runs.

    Raises:
        ConverterCrashError: If ai-edge-quantizer cannot write it.
    """
    from ai_edge_quantizer import algorithm_manager, qtyping, quantizer

    everything = qtyping.TFLOperationName.ALL_SUPPORTED
    result = quantizer.Quantizer(bytearray(path.read_bytes()))
    if precision == "float16":
        result.update_quantization_recipe(
            _EVERYTHING,
            everything,
            qtyping.OpQuantizationConfig(
                weight_tensor_config=qtyping.TensorQuantizationConfig(num_bits=16, dtype=qtyping.TensorDataType.FLOAT),
                compute_precision=qtyping.ComputePrecision.FLOAT,
                explicit_dequantize=True,
                min_weight_elements=SMALLEST,
            ),
            algorithm_manager.AlgorithmName.FLOAT_CASTING,
        )
    else:
        result.update_quantization_recipe(_EVERYTHING, everything, _as_it_runs(qtyping))
    path.write_bytes(_run(precision, result, None))


def _as_it_runs(qtyping: Any) -> Any:
    """Return the recipe of weights in int8, with ranges of what they meet taken as the model runs."""
    return qtyping.OpQuantizationConfig(
        weight_tensor_config=qtyping.TensorQuantizationConfig(
            num_bits=_BITS, granularity=qtyping.QuantGranularity.CHANNELWISE
        ),
        compute_precision=qtyping.ComputePrecision.INTEGER,
        min_weight_elements=SMALLEST,
    )


def _run(precision: str, quantizer: Any, ranges: Any) -> bytes:
    try:
        with _quiet():
            result = quantizer.quantize(ranges, enable_progress_bar=False, enable_progress_report=False)
    except Exception as error:
        raise _failed(precision, error) from error
    return bytes(result.quantized_model)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the runtime's greeting, and its warning that a calibration takes memory, from the terminal."""
    with warnings.catch_warnings(), held_back_stderr():
        warnings.simplefilter("ignore", UserWarning)
        yield


def _failed(precision: str, error: Exception) -> ConverterCrashError:
    return ConverterCrashError(f"tflite: {precision} quantisation failed: {type(error).__name__}: {error}")


def _batches(samples: dict[str, np.ndarray], batch: int) -> Iterator[dict[str, np.ndarray]]:
    count = len(next(iter(samples.values())))
    for start in range(0, max(1, count - count % batch), batch):
        yield {name: value[start : start + batch] for name, value in samples.items()}
