"""The part of the tables of cases that is asked for: `PART=1/6` is the second of six, counted from 0."""

import os
from collections.abc import Sequence
from typing import TypeVar

Case = TypeVar("Case")


def part_of(cases: Sequence[Case], most: int | None = None) -> list[Case]:
    """Return the cases of the part that the environment names; all of them if it names none.

    Args:
        cases: All of them.
        most: How many parts there are at most.
    """
    part, parts = (int(number) for number in os.environ.get("PART", "0/1").split("/"))
    parts = min(parts, most or parts)
    return list(cases[part % parts :: parts])
