"""What a description is made of: ranges by argument, and ranges for each stage of a network."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras_tuner

from keras_nnx.tuning.ranges import Range, Repeat, resolve


@dataclasses.dataclass(frozen=True)
class PerStage(Range):
    """A tuple with a value for each stage; all such arguments of one builder have the same number of stages.

    Args:
        ranges: The range of each stage, the first one first.
        least: The least number of stages.
        default: The number of stages of a first guess.
    """

    ranges: tuple[Range, ...]
    least: int
    default: int

    def choose(self, hp: keras_tuner.HyperParameters, name: str, active: bool = True) -> tuple[Any, ...]:
        """Return the value of a trial."""
        stages = f"{name.rpartition('/')[0]}/stages"
        most = len(self.ranges)
        chosen = hp.Int(stages, self.least, most, default=self.default)
        count = chosen if active else self.least
        values = []
        for number, value in enumerate(self.ranges, start=1):
            if number <= self.least:
                values.append(resolve(value, hp, f"{name}/{number}", active))
                continue
            with hp.conditional_scope(stages, list(range(number, most + 1))):
                values.append(resolve(value, hp, f"{name}/{number}", active and number <= count))
        return tuple(values[:count])

    def of(self, count: int) -> tuple[Range, ...]:
        """Return the ranges of so many stages, the last one for all that are more."""
        return tuple(self.ranges[min(index, len(self.ranges) - 1)] for index in range(count))


@dataclasses.dataclass(frozen=True)
class Description:
    """What the arguments of a builder may be.

    Args:
        ranges: Ranges, or options with ranges in them, by argument.
        settled: By argument: which others are not suggested where it is given, since it decides them.
    """

    ranges: dict[str, Any]
    settled: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)

    def beside(self, given: dict[str, Any]) -> dict[str, Any]:
        """Return the ranges of what is not given, for as many stages as what is given has."""
        decided = {name for key, names in self.settled.items() if given.get(key) is not None for name in names}
        left = {name: value for name, value in self.ranges.items() if name not in {*given, *decided}}
        counts = (_count(given[name]) for name, value in self.ranges.items() if name in given and _staged(value))
        count = next((count for count in counts if count is not None), None)
        if count is None:
            return left
        return {name: value.of(count) if isinstance(value, PerStage) else value for name, value in left.items()}


def _staged(value: Any) -> bool:
    return isinstance(value, PerStage)


def _count(value: Any) -> int | None:
    """Return how many stages a given argument has, if that is known."""
    if isinstance(value, Repeat):
        return value.times if isinstance(value.times, int) else None
    return len(value) if isinstance(value, tuple | list) else None
