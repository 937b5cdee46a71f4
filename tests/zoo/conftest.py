"""Everything in this folder is a model that others made, in all formats: `make zoo` runs it, `make test` does not.

With `ZOO_PART=1/3` in the environment it is the second of three parts, counted from 0; continuous integration runs
one of them.
"""

import os
from pathlib import Path

import keras
import pytest

from keras_nnx.export import job
from keras_nnx.export.workers import shared_worker


def pytest_collection_modifyitems(config, items):
    zoo = [item for item in items if Path(__file__).parent in item.path.parents]
    for item in zoo:
        item.add_marker(pytest.mark.zoo)
    part, parts = (int(number) for number in os.environ.get("ZOO_PART", "0/1").split("/"))
    others = {item for index, item in enumerate(zoo) if hasattr(item, "callspec") and index % parts != part}
    if others:
        config.hook.pytest_deselected(items=list(others))
        items[:] = [item for item in items if item not in others]


@pytest.fixture(scope="session", autouse=True)
def one_child_process():
    with shared_worker():
        yield


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """Names are counted from the start, and latencies are not what is asked here."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(0)
    monkeypatch.setattr(job, "_LATENCY_SECONDS", 0.0)
    yield
    keras.backend.clear_session()
