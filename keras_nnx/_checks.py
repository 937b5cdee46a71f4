"""Argument checks shared by the layers: each says what was received and what would do."""

from __future__ import annotations

import itertools
from numbers import Integral
from typing import Any


def positive_integer(owner: str, name: str, value: Any) -> int:
    """Return `value` if it is an integer of at least 1, or say which argument is wrong."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise ValueError(f"{owner}({name}={value!r}) needs an integer of at least 1.")
    return int(value)  # NumPy's integers cannot be saved in a configuration


def at_least_zero(owner: str, name: str, value: Any) -> int:
    """Return `value` if it is an integer of at least 0, or say which argument is wrong."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 0:
        raise ValueError(f"{owner}({name}={value!r}) needs an integer of at least 0.")
    return int(value)


def integer(owner: str, name: str, value: Any) -> int:
    """Return `value` if it is an integer, or say which argument is wrong."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise ValueError(f"{owner}({name}={value!r}) needs an integer.")
    return int(value)


def optional_positive_integer(owner: str, name: str, value: Any) -> int | None:
    """Return `value` if it is None or an integer of at least 1, or say which argument is wrong."""
    return None if value is None else positive_integer(owner, name, value)


def probability(owner: str, name: str, value: Any) -> float:
    """Return `value` if it lies in [0, 1), or say which argument is wrong."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
        raise ValueError(f"{owner}({name}={value!r}) needs a number of at least 0 and under 1.")
    return value


def share(owner: str, name: str, value: Any) -> float:
    """Return `value` if it lies in (0, 1], or say which argument is wrong."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
        raise ValueError(f"{owner}({name}={value!r}) needs a number over 0 and at most 1.")
    return value


def odd(owner: str, name: str, value: Any) -> int:
    """Return `value` if it is an odd positive integer, or say which argument is wrong."""
    if positive_integer(owner, name, value) % 2 == 0:
        raise ValueError(f"{owner}({name}={value!r}) has no middle: use an odd number.")
    return int(value)


def positive_number(owner: str, name: str, value: Any) -> float:
    """Return `value` if it is a number over 0, or say which argument is wrong."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise ValueError(f"{owner}({name}={value!r}) needs a number over 0.")
    return value


def at_least(owner: str, name: str, value: Any, least: float) -> float:
    """Return `value` if it is a number of at least `least`, or say which argument is wrong."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= least:
        raise ValueError(f"{owner}({name}={value!r}) needs a number of at least {least}.")
    return value


def one_of(owner: str, name: str, value: Any, known: tuple[str | None, ...]) -> Any:
    """Return `value` if it is one of `known`, or list them."""
    if value not in known:
        raise ValueError(f"{owner}({name}={value!r}) is unknown: choose one of {', '.join(map(repr, known))}.")
    return value


def sizes(owner: str, name: str, value: Any) -> tuple[int, ...]:
    """Return `value` as positive integers, one for all axes or one to three for each."""
    entries = (value,) if isinstance(value, Integral) else value
    if not isinstance(entries, tuple | list) or not 1 <= len(entries) <= 3:
        raise ValueError(f"{owner}({name}={value!r}) needs one integer, or one for each axis, such as 4 or (4, 4).")
    return tuple(positive_integer(owner, name, entry) for entry in entries)


def sizes_along(owner: str, name: str, value: Any, shape: tuple) -> tuple[int, ...]:
    """Return one size for each axis of `shape` between the first and the last."""
    if isinstance(value, Integral):
        return (int(value),) * (len(shape) - 2)
    if len(value) != len(shape) - 2:
        raise ValueError(
            f"{owner}({name}={value!r}) has {len(value)} sizes, but an input of shape {tuple(shape)} has "
            f"{len(shape) - 2} axes to cut: give one for each, or one integer for all."
        )
    return tuple(value)


def rank(owner: str, shape: tuple, letters: str) -> None:
    """Raise unless `shape` has one entry for each of the space-separated axis `letters`."""
    if len(shape) != len(letters.split()):
        raise ValueError(f"{owner} expects inputs of shape ({letters}), but received {tuple(shape)}.")


def least_rank(owner: str, shape: tuple, least: int, wanted: str) -> None:
    """Raise if `shape` has fewer than `least` axes."""
    if len(shape) < least:
        raise ValueError(f"{owner} expects inputs of shape {wanted}, but received {tuple(shape)}.")


def last_axis(owner: str, shape: tuple) -> int:
    """Return the size of the last axis of `shape`, or say that it has to be known."""
    if shape[-1] is None:
        raise ValueError(f"{owner} needs to know the size of the last axis, but received shape {tuple(shape)}.")
    return shape[-1]


def options(owner: str, name: str, value: Any, own: tuple[str, ...]) -> dict[str, Any]:
    """Return options as a dictionary of its own, unless one of them is what `owner` sets itself."""
    if value is not None and not isinstance(value, dict):
        raise ValueError(f"{owner}({name}={value!r}) needs a dictionary of options, or None.")
    for key in value or {}:
        if key in own:
            raise ValueError(f"{owner}({name}={value!r}) cannot set {key!r}, which {owner} sets itself: leave it out.")
    return dict(value or {})


def quantiles(owner: str, value: Any) -> list[float]:
    """Return `value` as a list if it is numbers that rise between 0 and 1, or say what is wrong."""
    levels = list(value) if isinstance(value, list | tuple) else []
    inside = all(isinstance(level, int | float) and 0 < level < 1 for level in levels)
    if not levels or not inside or any(low >= high for low, high in itertools.pairwise(levels)):
        raise ValueError(
            f"{owner}(quantiles={value!r}) needs numbers between 0 and 1, each larger than the one before, such as "
            f"(0.1, 0.5, 0.9)."
        )
    return [float(level) for level in levels]
