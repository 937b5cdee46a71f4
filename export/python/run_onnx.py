"""Classify pictures with an ONNX file; needs nothing but ONNX Runtime: pip install onnxruntime.

Example:
    python run_onnx.py build/demo/float32/model.onnx digit_7.png
    digit_7.png: 7 0.9985, 4 0.0009, 8 0.0003
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from classify import Model, Refusal, Tensor, main

_DTYPES = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(uint8)": "uint8"}


def open_model(path: Path) -> Model:
    """Open an ONNX file on the CPU.

    Raises:
        Refusal: If ONNX Runtime is missing or refuses the file.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise Refusal(f"ONNX Runtime cannot be imported ({error}): pip install onnxruntime") from error
    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except Exception as error:
        raise Refusal(f"{path} is no model that ONNX Runtime can load: {error}") from error
    names = [value.name for value in session.get_outputs()]
    return Model(
        inputs={value.name: _describe(value) for value in session.get_inputs()},
        outputs={value.name: _describe(value) for value in session.get_outputs()},
        run=lambda arrays: dict(zip(names, session.run(names, arrays), strict=True)),
    )


def _describe(value: Any) -> Tensor:
    """Return the shape and dtype of an input or output; a dimension of any size has a name instead of a number."""
    shape = tuple(size if isinstance(size, int) else None for size in value.shape)
    return Tensor(shape, _DTYPES.get(value.type, value.type))


if __name__ == "__main__":
    sys.exit(main(__doc__, open_model))
