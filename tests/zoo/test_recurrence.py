"""The table of recurrence is complete and current."""

import pytest

from tests.zoo import recurrence
from tests.zoo.recurrence_cases import CASES


def test_the_table_has_every_configuration_once_and_nothing_else():
    lines = [line for line in recurrence.PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    assert [line.split(" | ")[0][2:] for line in lines[1:]] == list(CASES)


@pytest.mark.parametrize("name", CASES)
def test_the_table_is_current(name):
    """Of the three forms in TFLite, whose converter takes most of the time, each configuration is tried in one."""
    place = list(CASES).index(name) % 3
    forms = [column for column in recurrence.COLUMNS.values() if column[0] == "tflite"]
    tried = [column for column in recurrence.COLUMNS.values() if column[0] == "onnx" or column == forms[place]]
    (line,) = recurrence.listed(name)
    listed = dict(zip(recurrence.COLUMNS.values(), line.strip("| ").split(" | ")[1:], strict=True))
    found = recurrence.cells(name, tried)
    assert found == {column: listed[column] for column in tried}
