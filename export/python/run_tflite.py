"""Classify pictures with a TFLite file; needs nothing but LiteRT: pip install ai-edge-litert.

Example:
    python run_tflite.py build/demo/float32/model.tflite digit_7.png
    digit_7.png: 7 0.9985, 4 0.0009, 8 0.0003
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from classify import Model, Refusal, Tensor, main

SIGNATURE = "serving_default"


def open_model(path: Path) -> Model:
    """Open a TFLite file on the CPU, with builtin operators.

    Raises:
        Refusal: If LiteRT is missing or refuses the file.
    """
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise Refusal(f"LiteRT cannot be imported ({error}): pip install ai-edge-litert") from error
    try:
        # The runner takes its inputs by name and makes room for them: allocating before would be for size 1.
        runner = Interpreter(model_path=str(path)).get_signature_runner(SIGNATURE)
    except Exception as error:
        raise Refusal(f"{path} is no model that LiteRT can load with the signature {SIGNATURE}: {error}") from error
    return Model(
        inputs={name: _describe(value) for name, value in runner.get_input_details().items()},
        outputs={name: _describe(value) for name, value in runner.get_output_details().items()},
        run=lambda arrays: runner(**arrays),
    )


def _describe(details: dict[str, Any]) -> Tensor:
    """Return the shape and dtype of an input or output; -1 in the signature's shape is a dimension of any size."""
    shape = tuple(None if size < 0 else int(size) for size in details["shape_signature"])
    quantized = len(details["quantization_parameters"]["scales"]) > 0  # its numbers are not pixels
    return Tensor(shape, f"quantized {details['dtype'].__name__}" if quantized else details["dtype"].__name__)


if __name__ == "__main__":
    sys.exit(main(__doc__, open_model))
