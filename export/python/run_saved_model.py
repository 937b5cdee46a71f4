"""Classify pictures with a SavedModel; needs nothing but TensorFlow: pip install tensorflow.

Example:
    python run_saved_model.py build/demo/float32/saved_model digit_7.png
    digit_7.png: 7 0.9985, 4 0.0009, 8 0.0003
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from classify import Model, Refusal, Tensor, main

SIGNATURE = "serving_default"


def open_model(path: Path) -> Model:
    """Open a SavedModel directory.

    Raises:
        Refusal: If TensorFlow is missing or refuses the directory.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # read by the import: errors only
    try:
        import tensorflow as tf
    except ImportError as error:
        raise Refusal(f"TensorFlow cannot be imported ({error}): pip install tensorflow") from error
    try:
        loaded = tf.saved_model.load(str(path))
        signature = loaded.signatures[SIGNATURE]
    except Exception as error:
        raise Refusal(f"{path} is no SavedModel with the signature {SIGNATURE}: {error}") from error

    def run(arrays: dict[str, Any]) -> dict[str, Any]:
        # `loaded` owns the weights and has to live as long as its signature is called.
        outputs = loaded.signatures[SIGNATURE](**{name: tf.constant(array) for name, array in arrays.items()})
        return {name: tensor.numpy() for name, tensor in outputs.items()}

    _, inputs = signature.structured_input_signature
    return Model(
        inputs={name: _describe(spec) for name, spec in inputs.items()},
        outputs={name: _describe(spec) for name, spec in signature.structured_outputs.items()},
        run=run,
    )


def _describe(spec: Any) -> Tensor:
    """Return the shape and dtype of an input or output."""
    return Tensor(tuple(spec.shape.as_list()), spec.dtype.name)


if __name__ == "__main__":
    sys.exit(main(__doc__, open_model))
