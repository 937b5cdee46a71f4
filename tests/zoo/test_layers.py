"""The table of support is complete and current."""

import keras
import pytest

from tests.zoo import support
from tests.zoo.layer_cases import ALIASES, CASES, NOT_IN_A_GRAPH


def test_every_layer_of_keras_is_in_the_table():
    public = {name for name in dir(keras.layers) if isinstance(getattr(keras.layers, name), type)}
    assert public - ALIASES == set(CASES) | set(NOT_IN_A_GRAPH)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", sorted(CASES))
def test_the_table_is_current(name):
    assert support.rows(name) == support.listed(name)
