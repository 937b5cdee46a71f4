"""Runs every test that asks for a case once for each, under its name."""

import pytest

from tests.contract.cases import CASES


@pytest.fixture(params=CASES, ids=str)
def case(request):
    return request.param
