"""Axes: where on a line a value lies, and what is written beside it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any

from keras_nnx.tuning.searches._numbers import number, short

LOG_FACTOR = 30
"""Positive values further apart than this are drawn on a logarithmic axis."""
_FEW = 6
_NEAR = 0.055


@dataclasses.dataclass(frozen=True)
class Axis:
    """A line from 0 to 1.

    Args:
        low: The value, or its logarithm, at 0.
        high: At 1; if it is `low`, all values lie in the middle.
        log: Whether it is logarithmic.
        categories: The values of one that has no numbers, from 0 to 1.
        flipped: Whether 0 and 1 are exchanged.
        ticks: Positions and what is written there.
    """

    low: float = 0.0
    high: float = 0.0
    log: bool = False
    categories: tuple[str, ...] = ()
    flipped: bool = False
    ticks: tuple[tuple[float, str], ...] = ()

    def position(self, value: Any) -> float | None:
        """Return where `value` lies; None if it is nowhere."""
        if self.categories:
            if short(value) not in self.categories:
                return None
            last = len(self.categories) - 1
            return self.categories.index(short(value)) / last if last else 0.5
        found = number(value)
        if found is None or (self.log and found <= 0):
            return None
        if self.high == self.low:
            return 0.5
        share = ((math.log10(found) if self.log else found) - self.low) / (self.high - self.low)
        return 1 - share if self.flipped else share

    def holds(self, value: float) -> bool:
        """Return whether a number lies within it."""
        if self.low == self.high:
            return value == self.low
        share = self.position(value)
        return share is not None and 0 <= share <= 1


def axis_of(values: Iterable[Any], label: Callable[[Any], str] = short, log: bool | None = None) -> Axis:
    """Return an axis for the values of a range: numbers, or whatever else there is to choose from.

    Args:
        values: All that occur.
        label: What is written beside a number.
        log: Whether it is logarithmic. Default: if the values are far apart.
    """
    given = list(values)
    numbers = [number(value) for value in given]
    found = [value for value in numbers if value is not None]
    if not given or len(found) < len(given):
        return _category_axis(given)
    axis = number_axis(found, label, log=log)
    exact = [(axis.position(value), label(value)) for value in sorted(set(found))]
    ticks = [(position, text) for position, text in exact if position is not None]
    apart = all(later[0] - earlier[0] > _NEAR for earlier, later in pairwise(ticks))
    return dataclasses.replace(axis, ticks=tuple(ticks)) if len(ticks) <= _FEW and apart else axis


def number_axis(
    values: Sequence[float],
    label: Callable[[Any], str] = short,
    padding: float = 0.0,
    flipped: bool = False,
    log: bool | None = None,
) -> Axis:
    """Return an axis for numbers, with ticks at round ones.

    Args:
        values: All that occur; none is as good as 0.
        label: What is written beside a tick.
        padding: How much to leave at either end, as a share of the whole.
        flipped: Whether the smallest is at 1.
        log: Whether it is logarithmic, where all values are over 0. Default: if they are far apart.
    """
    low, high = min(values, default=0.0), max(values, default=0.0)
    log = low > 0 and (high / low > LOG_FACTOR if log is None else log)
    if log:
        low, high = math.log10(low), math.log10(high)
    if high - low <= 1e-12 * max(abs(low), abs(high)):
        return Axis(low, low, ticks=((0.5, label(low)),) if values else ())
    low, high = low - padding * (high - low), high + padding * (high - low)
    axis = Axis(low, high, log, flipped=flipped)
    round_ones = _log_ticks(low, high) if log else _linear_ticks(low, high)
    positions = [(axis.position(value), label(value)) for value in round_ones]
    return dataclasses.replace(axis, ticks=tuple((share, text) for share, text in positions if share is not None))


def _category_axis(values: Sequence[Any]) -> Axis:
    ordered = sorted(values, key=lambda value: (isinstance(value, bool), number(value) or 0.0, short(value)))
    categories = tuple(dict.fromkeys(short(value) for value in ordered))
    axis = Axis(categories=categories)
    every = math.ceil(len(categories) / 16) or 1
    return dataclasses.replace(axis, ticks=tuple((axis.position(text) or 0.0, text) for text in categories[::every]))


def _linear_ticks(low: float, high: float) -> list[float]:
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
    return [round(index * step, 12 - math.floor(math.log10(step))) for index in _between(low / step, high / step)]


def _log_ticks(low: float, high: float) -> list[float]:
    powers = range(math.floor(low), math.ceil(high) + 1)
    every = math.ceil((high - low) / 6)
    factors = (1, 2, 5) if high - low < 3 else (1,)
    found = [factor * 10.0**power for power in powers if power % every == 0 for factor in factors]
    return [value for value in found if low - 1e-9 <= math.log10(value) <= high + 1e-9]


def _between(low: float, high: float) -> range:
    return range(math.ceil(low - 1e-9), math.floor(high + 1e-9) + 1)
