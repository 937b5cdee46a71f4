"""Everything in this folder is a model that others made, in all formats: `make zoo` runs it, `make test` does not."""

from pathlib import Path

import keras
import pytest

from keras_nnx.export import job
from keras_nnx.export.workers import shared_worker


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.zoo)


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
