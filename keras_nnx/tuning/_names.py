"""Names of values in tables and files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def label(value: Any) -> str:
    """Return what a value is called."""
    name = getattr(value, "name", None)
    if isinstance(name, str):
        return name
    if isinstance(value, type) or callable(value):
        return getattr(value, "__name__", type(value).__name__)
    return " ".join(map(label, value)) if isinstance(value, tuple | list) else str(value)


def labels(values: Sequence[Any]) -> dict[str, Any]:
    """Return values by what they are called.

    Raises:
        ValueError: If two are called alike.
    """
    found: dict[str, Any] = {}
    for value in values:
        name = label(value)
        if name in found:
            raise ValueError(f"Choice({values!r}) has two values called {name!r}: give a dictionary with names.")
        found[name] = value
    return found
