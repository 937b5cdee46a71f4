"""What all tests share: fixed seeds, and exports that share one child process.

With `PART=1/6` in the environment, of each table of cases (the layer contract, the builders, the zoo) only the second
of six parts is run, counted from 0, and of the tests marked `minutes` a quarter. Continuous integration runs one of
them; which, the sources say.
"""

import gc
import signal
import threading
from pathlib import Path

import hypothesis
import keras
import pytest

import keras_nnx as nnx
from tests.contract.part import part_of

hypothesis.settings.register_profile("keras_nnx", deadline=None, derandomize=True, max_examples=25)
hypothesis.settings.load_profile("keras_nnx")

# A shell that starts the tests in the background lets them, and the processes they start, ignore an interrupt.
if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


TABLES = ("contract", "models/test_builders.py", "models/test_adversarial.py", "zoo")
WHOLE = ("contract/test_coverage.py", "contract/test_objects.py")
"""Of the tables, what guards that they are complete, and costs next to nothing."""


def pytest_collection_modifyitems(config, items):
    tables, whole = ({Path(__file__).parent / name for name in names} for names in (TABLES, WHOLE))
    cases = [item for item in items if hasattr(item, "callspec") and {item.path, *item.path.parents} & tables]
    cases = [item for item in cases if item.path not in whole]
    long = [item for item in items if item.get_closest_marker("minutes")]
    others = (set(cases) - set(part_of(cases))) | (set(long) - set(part_of(long, most=4)))
    if others:
        config.hook.pytest_deselected(items=list(others))
        items[:] = [item for item in items if item not in others]


def pytest_collection_finish(session):
    """Leave what was imported and collected out of each search for garbage: it stays, and is much."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def seeded():
    """Every test starts from the same random state, whatever ran before it."""
    keras.utils.set_random_seed(0)


@pytest.fixture(scope="session")
def child():
    """Exports borrow one child process: a fresh one each would import TensorFlow each time."""
    from keras_nnx.export.workers import shared_worker

    with shared_worker():
        yield


@pytest.fixture
def export(child, tmp_path, monkeypatch):
    """Export a model to all formats with proof; latencies are measured as briefly as can be."""
    from keras_nnx.export import job

    monkeypatch.setattr(job, "_LATENCY_SECONDS", 0.0)

    def run(model, **arguments):
        return nnx.export_model(model, tmp_path / "export", **arguments)

    return run
