"""int8 for ONNX: ONNX Runtime's static quantisation, with QDQ nodes around the operators that carry the weights."""

from __future__ import annotations

import contextlib
import io
import logging
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from keras_nnx._version import __version__
from keras_nnx.export.errors import ConverterCrashError
from keras_nnx.export.quantization import onnx_recurrent
from keras_nnx.export.quantization.onnx_bodies import PRODUCTS

OPERATORS = PRODUCTS
"""What is quantised. Normalisations, softmax and sums stay in float: they cost accuracy and hold no weights."""
_BATCH = 32
_ERROR, _WARNING = 3, 2  # severities of ONNX Runtime's log


class OnnxStatic:
    """Makes int8 files of a float32 one, calibrated on samples.

    Weights are int8 with a scale for each channel, activations uint8 with one scale; inputs and outputs stay float32.
    Signed activations take ONNX Runtime on x86 more than twice the time. With unsigned ones, processors without VNNI
    saturate where weights use all of their 8 bits, and would answer otherwise than the one that proved the file: the
    weights use 7.

    Args:
        path: The float32 file.
        samples: Real inputs by name, with a batch axis.
        folder: Where files that are needed in between go.
        fixed_batch: The batch that the model takes, if it takes only one.

    Raises:
        ConverterCrashError: If ONNX Runtime cannot quantise the model.
    """

    def __init__(
        self, path: Path, samples: dict[str, np.ndarray], folder: Path, fixed_batch: int | None = None
    ) -> None:
        import onnx
        from onnxruntime.quantization import quant_pre_process

        self._samples, self._batch = samples, fixed_batch or _BATCH
        self._prepared, self._ranges = folder / "prepared.onnx", folder / "ranges.json"
        try:
            with quiet():
                quant_pre_process(str(path), str(self._prepared), skip_symbolic_shape=True)
        except Exception as error:
            raise _failed(error) from error
        graph = onnx.load(self._prepared, load_external_data=False).graph
        names = [node.name for node in graph.node if node.op_type in OPERATORS]
        self._nodes: dict[str, list[str]] = {}
        for name in (*names, *onnx_recurrent.with_kernels(graph)):
            # The preparation may append to the names: layer/Conv_1, layer/MatMul_1/MatMulAddFusion.
            layer = re.match(r"(.+?)/[A-Z]\w*_\d+(/|$)", name)
            self._nodes.setdefault(layer[1] if layer else name, []).append(name)
        self.layers = list(self._nodes)

    def write(self, path: Path, kept: Collection[str] = ()) -> None:
        """Write the int8 file with the layers `kept` in float."""
        import onnx
        from onnxruntime import quantization

        excluded = [node for layer in kept for node in self._nodes[layer]]
        try:
            with quiet():
                quantization.quantize_static(
                    str(self._prepared),
                    str(path),
                    _reader(self._samples, self._batch),
                    quant_format=quantization.QuantFormat.QDQ,
                    op_types_to_quantize=list(OPERATORS),
                    nodes_to_exclude=excluded,
                    per_channel=True,
                    activation_type=quantization.QuantType.QUInt8,
                    weight_type=quantization.QuantType.QInt8,
                    reduce_range=True,
                    calibration_cache_path=str(self._ranges),
                )
        except Exception as error:
            raise _failed(error) from error
        proto = onnx.load(path)
        _leave_types_to_zero_points(proto)
        onnx_recurrent.quantize_recurrent(proto.graph, excluded)
        proto.producer_name, proto.producer_version = "keras_nnx", __version__
        onnx.save(proto, path)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
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


def _leave_types_to_zero_points(proto: Any) -> None:
    """Drop the output type of QuantizeLinear, which says nothing new: ONNX Runtime changes one without the other."""
    for node in proto.graph.node:
        if node.op_type == "QuantizeLinear":
            kept = [attribute for attribute in node.attribute if attribute.name != "output_dtype"]
            del node.attribute[:]
            node.attribute.extend(kept)


def _failed(error: Exception) -> ConverterCrashError:
    return ConverterCrashError(f"onnx: int8 quantisation failed: {type(error).__name__}: {error}")


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
