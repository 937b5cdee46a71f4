"""The table of recurrence is complete and current."""

import os

import pytest

from tests.zoo import recurrence
from tests.zoo.recurrence_cases import CASES


def test_the_table_has_every_configuration_once_and_nothing_else():
    lines = [line for line in recurrence.PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    assert [line.split(" | ")[0][2:] for line in lines[1:]] == list(CASES)


@pytest.mark.parametrize("name", CASES if os.environ.get("WHOLE_TABLE") else list(CASES)[::3])
def test_the_table_is_current(name):
    """Of every third configuration one form of each format, in turns: all cells take as long as all other tests.

    `WHOLE_TABLE=1 make zoo` tries every configuration, and `make recurrence` makes every cell.
    """
    turn = list(CASES).index(name) // 3 % 3
    tried = list(recurrence.COLUMNS.values())[turn::3]
    (line,) = recurrence.listed(name)
    listed = dict(zip(recurrence.COLUMNS.values(), line.strip("| ").split(" | ")[1:], strict=True))
    found = recurrence.cells(name, tried)
    assert found == {column: listed[column] for column in tried}
