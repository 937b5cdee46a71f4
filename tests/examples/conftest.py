"""The examples as modules, and as the programs that a reader starts."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def load_example(name):
    spec = importlib.util.spec_from_file_location(f"example_{name}", ROOT / "examples" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def segment_digits():
    return load_example("segment_digits")


@pytest.fixture(scope="session")
def enlarge_photographs():
    return load_example("enlarge_photographs")


@pytest.fixture(scope="session")
def classify_digits():
    return load_example("classify_digits")


@pytest.fixture(scope="session")
def transfer_learning():
    return load_example("transfer_learning")


@pytest.fixture(scope="session")
def find_learning_rate():
    return load_example("find_learning_rate")


@pytest.fixture(scope="session")
def forecast_co2():
    return load_example("forecast_co2")


@pytest.fixture(scope="session")
def read_dates():
    return load_example("read_dates")


@pytest.fixture(scope="session")
def generate_digits():
    return load_example("generate_digits")


@pytest.fixture(scope="session")
def read_digits_by_row():
    return load_example("read_digits_by_row")


@pytest.fixture(scope="session")
def run_example(tmp_path_factory):
    """Run an example in a process and a folder of its own; return what it printed and the folder."""

    def run(name, *arguments):
        folder = tmp_path_factory.mktemp(name)
        finished = subprocess.run(
            [sys.executable, str(ROOT / "examples" / f"{name}.py"), "--out", "out", *map(str, arguments)],
            env={**os.environ, "PYTHONPATH": str(ROOT), "TFDS_DATA_DIR": str(folder / "tfds")},
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=550,
        )
        return finished, folder / "out"

    return run
