"""Pictures of curves, for the rooms that have no use for matplotlib but to draw what they know."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def new_figure(width: float = 7, height: float = 4) -> Any:
    """Return an empty figure that belongs to no window.

    Raises:
        ImportError: If matplotlib is missing.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError('Drawing needs matplotlib: run pip install "keras-nnx[plot]".') from error
    return Figure(figsize=(width, height), layout="constrained", facecolor="white")


def save(figure: Any, path: str | Path) -> Path:
    """Write a figure, making the folders above it, and return where it is."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    return path
