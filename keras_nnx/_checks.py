"""Argument checks shared by the layers: each says what was received and what would do."""

from __future__ import annotations

from numbers import Integral
from typing import Any


def positive_integer(owner: str, name: str, value: Any) -> int:
    """Return `value` if it is an integer of at least 1, or say which argument is wrong."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise ValueError(f"{owner}({name}={value!r}) needs an integer of at least 1.")
    return int(value)  # NumPy's integers cannot be saved in a configuration


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


def one_of(owner: str, name: str, value: Any, known: tuple[str, ...]) -> str:
    """Return `value` if it is one of `known`, or list them."""
    if value not in known:
        raise ValueError(f"{owner}({name}={value!r}) is unknown: choose one of {', '.join(map(repr, known))}.")
    return value


def integer_pair(owner: str, name: str, value: Any) -> tuple[int, int]:
    """Return `value` as two positive integers; a single integer stands for both."""
    pair = (value, value) if isinstance(value, int) else value
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise ValueError(f"{owner}({name}={value!r}) needs one integer or two, such as 4 or (4, 4).")
    for entry in pair:
        positive_integer(owner, name, entry)
    return pair[0], pair[1]


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
