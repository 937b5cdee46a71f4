"""What the tests of this room share."""

import keras
import pytest

from tests.models.sources import SOURCES, randomized


@pytest.fixture(scope="module")
def source():
    """Each source is made once: that takes seconds."""
    made = {}

    def get(name):
        if name not in made:
            made[name] = randomized(SOURCES[name](classes=7))
        return made[name]

    yield get
    keras.backend.clear_session()
