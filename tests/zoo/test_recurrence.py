"""The table of recurrence is complete and current."""

import pytest

from tests.zoo import recurrence
from tests.zoo.recurrence_cases import CASES


def test_the_table_has_every_configuration_once_and_nothing_else():
    lines = [line for line in recurrence.PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    assert [line.split(" | ")[0][2:] for line in lines[1:]] == list(CASES)


@pytest.mark.parametrize("name", CASES)
def test_the_table_is_current(name):
    assert [recurrence.row(name)] == recurrence.listed(name)
