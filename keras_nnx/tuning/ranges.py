"""Ranges: what an argument may be, in place of what it is."""

from __future__ import annotations

import abc
import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras_tuner
import numpy as np

from keras_nnx.tuning._names import labels

SAMPLINGS = ("linear", "log", "reverse_log")


class Range(abc.ABC):
    """What an argument may be. Wherever a space takes a value, it takes a range."""

    @abc.abstractmethod
    def choose(self, hp: keras_tuner.HyperParameters, name: str, active: bool = True) -> Any:
        """Return the value of a trial, and make the range known to the tuner under a name.

        Args:
            hp: The hyperparameters of the trial.
            name: The name, within the scope that `hp` is in.
            active: Whether the trial uses it; otherwise it is made known, and what is returned means nothing.
        """


@dataclasses.dataclass(frozen=True)
class Int(Range):
    """An integer between two others, both included.

    Args:
        low: The least.
        high: The greatest.
        step: What the values are apart; with `sampling="log"`, what each is over the one before.
        sampling: `"linear"`, or `"log"` for as many draws between 1 and 10 as between 10 and 100, or `"reverse_log"`.
        default: The value of a first guess. Default: `low`.

    Raises:
        ValueError: If the bounds are no integers in order, a logarithm of them cannot be taken, or the step or the
            default does not fit.

    Example:
        >>> import keras_tuner
        >>> import keras_nnx as nnx
        >>> nnx.tuning.Int(2, 6).choose(keras_tuner.HyperParameters(), "depth")
        2
    """

    low: int
    high: int
    step: int | None = None
    sampling: str = "linear"
    default: int | None = None

    def __post_init__(self) -> None:
        _check(self, int)

    def __str__(self) -> str:
        return f"Int({self.low}, {self.high})"

    def choose(self, hp: keras_tuner.HyperParameters, name: str, active: bool = True) -> int:
        """Return the value of a trial."""
        return hp.Int(name, self.low, self.high, step=self.step, sampling=self.sampling, default=self.default)


@dataclasses.dataclass(frozen=True)
class Float(Range):
    """A number between two others, both included.

    Args:
        low: The least.
        high: The greatest.
        step: What the values are apart; with `sampling="log"`, what each is over the one before. Default: any number.
        sampling: `"linear"`, `"log"`, which suits learning rates, or `"reverse_log"`.
        default: The value of a first guess. Default: `low`.

    Raises:
        ValueError: If the bounds are no numbers in order, a logarithm of them cannot be taken, or the step or the
            default does not fit.

    Example:
        >>> import keras_tuner
        >>> import keras_nnx as nnx
        >>> rate = nnx.tuning.Float(1e-4, 1e-1, sampling="log", default=1e-3)
        >>> rate.choose(keras_tuner.HyperParameters(), "learning_rate")
        0.001
    """

    low: float
    high: float
    step: float | None = None
    sampling: str = "linear"
    default: float | None = None

    def __post_init__(self) -> None:
        _check(self, float)

    def __str__(self) -> str:
        return f"Float({self.low}, {self.high})"

    def choose(self, hp: keras_tuner.HyperParameters, name: str, active: bool = True) -> float:
        """Return the value of a trial."""
        values = (self.low, self.high, self.step, self.default)
        low, high, step, default = (None if value is None else float(value) for value in values)
        return hp.Float(name, low, high, step=step, sampling=self.sampling, default=default)


@dataclasses.dataclass(frozen=True)
class Bool(Range):
    """True or false.

    Args:
        default: The value of a first guess.

    Example:
        >>> import keras_tuner
        >>> import keras_nnx as nnx
        >>> nnx.tuning.Bool().choose(keras_tuner.HyperParameters(), "bidirectional")
        False
    """

    default: bool = False

    def __str__(self) -> str:
        return "Bool()"

    def choose(self, hp: keras_tuner.HyperParameters, name: str, active: bool = True) -> bool:
        """Return the value of a trial."""
        return bool(hp.Boolean(name, default=bool(self.default)))


class Choice(Range):
    """One of several values, of any kind: numbers, names, None, tuples, other ranges, spaces of blocks.

    Ranges within a value are searched only where that value is chosen.

    Args:
        values: A sequence of values, or a dictionary of values by the names that tables show.
        default: The value, or in a dictionary the name, of a first guess. Default: the first.

    Raises:
        ValueError: If there are no values, two look alike, or the default is not among them.

    Example:
        >>> import keras_tuner
        >>> import keras_nnx as nnx
        >>> hp = keras_tuner.HyperParameters()
        >>> nnx.tuning.Choice([None, 0.25]).choose(hp, "squeeze")
        >>> hp.values
        {'squeeze': 'None'}
    """

    def __init__(self, values: Sequence[Any] | Mapping[str, Any], default: Any = None) -> None:
        values = values.tolist() if isinstance(values, np.ndarray) else values
        named = isinstance(values, Mapping)
        if isinstance(values, str) or not values:
            raise ValueError(f"Choice({values!r}) needs values to choose from: a sequence, or a dictionary by name.")
        self.values = dict(values) if isinstance(values, Mapping) else labels(values)
        if default is None and (named or None not in self.values.values()):
            self.default = next(iter(self.values))
        else:
            found = [
                label for label, value in self.values.items() if (label == default if named else _same(value, default))
            ]
            if not found:
                raise ValueError(f"Choice(default={default!r}) is not among the choices: {', '.join(self.values)}.")
            self.default = found[0]

    def __str__(self) -> str:
        return f"Choice({', '.join(self.values)})"

    def choose(self, hp: keras_tuner.HyperParameters, name: str, active: bool = True) -> Any:
        """Return the value of a trial."""
        # Names, and not the numbers themselves: what is sent to another process has fewer digits.
        chosen = hp.Choice(name, list(self.values), default=self.default)
        found = None
        for label, value in self.values.items():
            used = active and label == chosen
            with hp.conditional_scope(name, [label]):
                resolved = resolve(value, hp, f"{name}={label}", used)
            if used:
                found = resolved
        return found


class Repeat(Range):
    """A tuple of values, and how many.

    Args:
        value: Each of them; a range is chosen anew for each.
        times: How many, or a range of it: `Int` with steps of 1.
        same: Whether they are all equal.

    Raises:
        ValueError: If `times` is neither a positive number nor such a range.

    Example:
        >>> import keras_tuner
        >>> import keras_nnx as nnx
        >>> units = nnx.tuning.Repeat(nnx.tuning.Int(32, 128, step=32), times=nnx.tuning.Int(1, 3, default=2))
        >>> units.choose(keras_tuner.HyperParameters(), "units")
        (32, 32)
    """

    def __init__(self, value: Any, times: int | Int, same: bool = False) -> None:
        least, step = (times.low, times.step) if isinstance(times, Int) else (times, None)
        if isinstance(least, bool) or not isinstance(least, int) or least < 1 or step not in (None, 1):
            raise ValueError(f"Repeat(times={times!r}) needs a number of at least 1, or an Int of them in steps of 1.")
        self.value, self.times, self.same = value, times, same

    def __str__(self) -> str:
        return f"Repeat({self.value}, {self.times})"

    def choose(self, hp: keras_tuner.HyperParameters, name: str, active: bool = True) -> tuple[Any, ...]:
        """Return the value of a trial."""
        if isinstance(self.times, Int):
            least, most = self.times.low, self.times.high
            chosen = self.times.choose(hp, f"{name}/times", active)
            count = chosen if active else least
        else:
            count = least = most = self.times
        if self.same:
            return (resolve(self.value, hp, f"{name}/each", active),) * count
        values = [resolve(self.value, hp, f"{name}/{number}", active) for number in range(1, least + 1)]
        for number in range(least + 1, most + 1):
            with hp.conditional_scope(f"{name}/times", list(range(number, most + 1))):
                values.append(resolve(self.value, hp, f"{name}/{number}", active and number <= count))
        return tuple(values[:count])


def resolve(value: Any, hp: keras_tuner.HyperParameters, name: str, active: bool = True) -> Any:
    """Return a value in which each range has become what a trial has chosen.

    Args:
        value: A range, a space, anything else, or lists, tuples and dictionaries of them.
        hp: The hyperparameters of the trial.
        name: What it is called, within the scope that `hp` is in.
        active: Whether the trial uses it; otherwise its ranges are made known, and nothing is built.
    """
    from keras_nnx.tuning.hypermodel import Space

    if isinstance(value, Range):
        return value.choose(hp, name, active)
    if isinstance(value, Space):
        return value.make(hp, name, active)
    if isinstance(value, Mapping):
        return {key: resolve(entry, hp, f"{name}/{key}", active) for key, entry in value.items()}
    if type(value) in (list, tuple):
        return type(value)(resolve(entry, hp, f"{name}/{index}", active) for index, entry in enumerate(value, 1))
    return value


def _same(first: Any, second: Any) -> bool:
    return type(first) is type(second) and bool(first == second)


def _check(given: Int | Float, kind: type) -> None:
    owner = type(given).__name__
    wanted = (int,) if kind is int else (int, float)
    for name in ("low", "high", "step", "default"):
        value = getattr(given, name)
        if value is None and name in ("step", "default"):
            continue
        if isinstance(value, bool) or not isinstance(value, wanted) or not math.isfinite(value):
            raise ValueError(f"{owner}({name}={value!r}) needs {'an integer' if kind is int else 'a number'}.")
    if not given.low < given.high:
        raise ValueError(f"{owner}({given.low!r}, {given.high!r}) needs a low bound under the high one.")
    if given.sampling not in SAMPLINGS:
        raise ValueError(f"{owner}(sampling={given.sampling!r}) is unknown: choose one of {', '.join(SAMPLINGS)}.")
    if given.sampling != "linear" and given.low <= 0:
        raise ValueError(f"{owner}({given.low!r}, sampling={given.sampling!r}) has no logarithm: start over 0.")
    least = 0 if given.sampling == "linear" else 1
    if given.step is not None and not given.step > least:
        raise ValueError(f"{owner}(step={given.step!r}) needs a step over {least}, with sampling={given.sampling!r}.")
    if given.default is not None and not given.low <= given.default <= given.high:
        raise ValueError(f"{owner}(default={given.default!r}) lies outside {given.low!r} to {given.high!r}.")
