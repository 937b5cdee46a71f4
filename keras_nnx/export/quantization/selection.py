"""Which layers have to stay in float for a quantised file to be as good as was asked for."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Protocol


class StaticQuantizer(Protocol):
    """Makes int8 files of one float32 file, after one calibration."""

    layers: list[str]
    """What can be left in float, by layer path."""

    def write(self, path: Path, kept: Collection[str] = ()) -> None:
        """Write the int8 file with the layers `kept` in float."""


def fewest_kept(layers: list[str], measure: Callable[[Collection[str]], float], floor: float) -> list[str] | None:
    """Return the fewest layers to keep in float for `measure` to reach `floor`, the costliest first.

    The noise that a layer makes by itself is what it costs; noises of different layers add up, nearly. So the layers
    are kept in the order of their cost until the floor holds, and each is then given back if it holds without.

    Args:
        layers: What can be kept.
        measure: From the layers that are kept to the signal-to-noise ratio, in decibels.
        floor: What the ratio has to be.

    Returns:
        The layers; None if the floor does not hold with all of them in float.
    """
    if measure(()) >= floor:
        return []
    if measure(layers) < floor:
        return None
    alone = {layer: measure([other for other in layers if other != layer]) for layer in layers}
    costliest = sorted(layers, key=lambda layer: alone[layer])
    few, enough = 0, len(costliest)
    while enough - few > 1:
        middle = (few + enough) // 2
        few, enough = (few, middle) if measure(costliest[:middle]) >= floor else (middle, enough)
    kept = costliest[:enough]
    for layer in reversed(costliest[: enough - 1]):
        without = [other for other in kept if other != layer]
        if measure(without) >= floor:
            kept = without
    return kept
