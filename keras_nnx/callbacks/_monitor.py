"""Monitored values: whether they exist, which way is better, and by how much."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any


def value_of(owner: str, name: str, logs: dict[str, Any], validation_may_follow: bool) -> float | None:
    """Return a monitored value; None where this epoch had no validation.

    Raises:
        ValueError: If there is no such value; the message lists those that there are.
    """
    if name in logs:
        return float(logs[name])
    if name.startswith("val_") and validation_may_follow and not any(key.startswith("val_") for key in logs):
        return None
    if name.removeprefix("val_") in logs:
        hint = " fit needs validation_data for it."
    else:
        close = difflib.get_close_matches(name, logs, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
    raise ValueError(f"{owner}(monitor={name!r}) does not exist here. There are: {', '.join(sorted(logs))}.{hint}")


def sign_of(owner: str, name: str, mode: str, model: Any) -> int:
    """Return 1 if larger values are better, and -1 if smaller ones are.

    Raises:
        ValueError: If the mode is `"auto"`, and nothing says which.
    """
    if mode != "auto":
        return 1 if mode == "max" else -1
    base = name.removeprefix("val_")
    if base == "loss" or base.endswith("_loss"):
        return -1
    for metric in _metrics(model.metrics):
        # With several outputs, Keras puts the name of the output before that of the metric.
        if base == metric.name or base.endswith(f"_{metric.name}"):
            direction = getattr(metric, "_direction", None)
            if direction is not None:
                return 1 if direction == "up" else -1
    raise ValueError(f"{owner}(monitor={name!r}) may be better high or low: say mode='max' or mode='min'.")


def _metrics(entries: Any) -> Iterator[Any]:
    for metric in entries:
        inside = getattr(metric, "metrics", None)
        if inside:
            yield from _metrics(inside)
        else:
            yield metric


def improved(value: float, best: float | None, sign: int, absolute: float, relative: float) -> bool:
    """Return whether a value is better than the best by more than both allowances; NaN never is."""
    if best is None:
        return value == value
    return sign * (value - best) > max(absolute, relative * abs(best))


def diverged(value: float, best: float | None, sign: int, share: float | None) -> bool:
    """Return whether a value is worse than the best by more than a share of it."""
    return share is not None and best is not None and sign * (best - value) > share * abs(best)
