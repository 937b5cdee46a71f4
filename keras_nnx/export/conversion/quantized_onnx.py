"""int8 for ONNX: quantise and dequantise nodes around the operators that carry the weights."""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from keras_nnx.export.errors import ConverterCrashError

OPERATORS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
"""What is quantised. Normalisations, softmax and sums stay in float: they cost accuracy and hold no weights."""
_BATCH = 32
_ERROR, _WARNING = 3, 2  # severities of ONNX Runtime's log


def quantize_onnx(path: Path, samples: dict[str, np.ndarray], fixed_batch: int | None = None) -> None:
    """Replace the float32 file at `path` by an int8 one, calibrated on `samples`.

    Weights are int8 with a scale for each channel, activations int8 with one scale; inputs and outputs stay float32.

    Args:
        path: The file.
        samples: Real inputs by name, with a batch axis.
        fixed_batch: The batch that the model takes, if it takes only one.

    Raises:
        ConverterCrashError: If ONNX Runtime cannot quantise the model.
    """
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    reader = _reader(samples, fixed_batch or _BATCH)
    with tempfile.TemporaryDirectory(prefix="keras_nnx_") as folder:
        prepared, quantized = Path(folder, "prepared.onnx"), Path(folder, "quantized.onnx")
        try:
            with _quiet():
                quant_pre_process(str(path), str(prepared), skip_symbolic_shape=True)
                quantization.quantize_static(
                    str(prepared),
                    str(quantized),
                    reader,
                    quant_format=quantization.QuantFormat.QDQ,
                    op_types_to_quantize=list(OPERATORS),
                    per_channel=True,
                    activation_type=quantization.QuantType.QInt8,
                    weight_type=quantization.QuantType.QInt8,
                )
        except Exception as error:
            raise ConverterCrashError(f"onnx: int8 quantisation failed: {type(error).__name__}: {error}") from error
        path.write_bytes(quantized.read_bytes())


def _reader(samples: dict[str, np.ndarray], batch: int) -> object:
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            count = len(next(iter(samples.values())))
            count -= count % batch if count > batch else 0
            self._batches: Iterator[dict[str, np.ndarray]] = (
                {name: value[start : start + batch] for name, value in samples.items()}
                for start in range(0, count, batch)
            )

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self._batches, None)

    return Reader()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the advice that the quantiser prints and logs from the terminal."""
    import onnxruntime

    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    onnxruntime.set_default_logger_severity(_ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        root.setLevel(level)
        onnxruntime.set_default_logger_severity(_WARNING)
