"""The formats whose graphs are lowered."""

from __future__ import annotations

from collections.abc import Sequence

TARGETS = ("onnx", "tflite")
"""Layers and operators are lowered for these by default."""
LAYER_TARGETS = ("saved_model", *TARGETS)
"""A SavedModel keeps TensorFlow's operators, but a layer may need another way there too."""


def check_targets(owner: str, targets: Sequence[str], known: Sequence[str] = TARGETS) -> None:
    """Raise unless every one of `targets` is known."""
    unknown = sorted(set(targets) - set(known))
    if isinstance(targets, str) or unknown:
        raise ValueError(f"{owner}(targets={targets!r}) is not understood: pass one or more of {known} in a tuple.")
