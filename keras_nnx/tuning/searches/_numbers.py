"""Numbers as people read them."""

from __future__ import annotations

import math
from typing import Any

_UNITS = {"_ms": " ms", "_mb": " MB"}
_GREATEST, _SMALLEST = 1e150, 1e-150


def number(value: Any) -> float | None:
    """Return `value` as a float that can be drawn; None if it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if not abs(value) < _GREATEST:
        return None
    return float(value) if abs(value) > _SMALLEST else 0.0


def finite(measures: dict[str, Any]) -> dict[str, float]:
    """Return those of the measures that are numbers."""
    found = {name: number(value) for name, value in measures.items()}
    return {name: value for name, value in found.items() if value is not None}


def short(value: Any) -> str:
    """Return a value in at most four significant digits, or as it is if it is no fraction."""
    if isinstance(value, float):
        return f"{int(value)}" if value.is_integer() and abs(value) < 1e4 else f"{value:.4g}"
    if isinstance(value, dict):
        return ", ".join(f"{name}={short(entry)}" for name, entry in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(short(entry) for entry in value) or "none"
    return str(value)


def tick(name: str, value: float) -> str:
    """Return a value of `name` as an axis shows it, without its unit."""
    if name.endswith("accuracy"):
        return f"{100 * value:.4g}%"
    for above, size, letter in ((1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k")):
        if above <= abs(value) < 1e12:
            return f"{value / size:.4g}{letter}"
    return short(value)


def measure(name: str, value: float, unit: bool = True) -> str:
    """Return a measured value, accuracies in percent.

    Args:
        name: Of the quantity.
        value: A number.
        unit: Whether to write the unit that the name ends in.
    """
    if name.endswith("accuracy"):
        return f"{100 * value:.4g}%"
    if name == "parameters" and math.isfinite(value):
        return f"{value:,.0f}"
    return short(float(value)) + (_UNITS.get(name[-3:], "") if unit else "")


def duration(seconds: float) -> str:
    """Return a time in its two greatest units."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"
