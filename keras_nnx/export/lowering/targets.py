"""The formats whose graphs are lowered."""

from __future__ import annotations

from collections.abc import Sequence

TARGETS = ("onnx", "tflite")


def check_targets(owner: str, targets: Sequence[str]) -> None:
    """Raise unless every one of `targets` is known."""
    unknown = sorted(set(targets) - set(TARGETS))
    if isinstance(targets, str) or unknown:
        raise ValueError(f"{owner}(targets={targets!r}) is not understood: pass one or more of {TARGETS} in a tuple.")
