"""Exports to consume, and environments that hold one runtime and nothing else."""

import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

import keras
import pytest
from packaging.requirements import Requirement

import keras_nnx as nnx

PROGRAMS = Path(__file__).parents[2] / "export" / "python"
LABELS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
RUNTIMES = {"saved_model": "tensorflow", "onnx": "onnxruntime", "tflite": "ai-edge-litert"}


def classifier(shape, batch_size=None):
    """Return a small classifier with random weights whose scores are far from equal."""
    keras.utils.set_random_seed(7)
    inputs = keras.Input(shape, batch_size=batch_size, name="image")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1.0)(inputs)
    x = keras.layers.Conv2D(8, 3, activation="relu")(x)
    x = keras.layers.GlobalAveragePooling2D()(x) if shape[0] is None else keras.layers.Flatten()(x)
    spread = keras.initializers.RandomNormal(stddev=1.0)
    return keras.Model(inputs, keras.layers.Dense(10, "softmax", kernel_initializer=spread, name="scores")(x))


@pytest.fixture(scope="session")
def make_classifier():
    return classifier


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """All three formats with a dynamic batch and labels."""
    directory = tmp_path_factory.mktemp("exports") / "digits"
    nnx.export_model(classifier((8, 8, 1)), directory, labels=LABELS)
    return directory


@pytest.fixture(scope="session")
def exported_rgb_pairs(tmp_path_factory):
    """RGB pictures in batches of exactly two, without labels."""
    directory = tmp_path_factory.mktemp("exports") / "pairs"
    nnx.export_model(classifier((8, 12, 3), batch_size=2), directory)
    return directory


@pytest.fixture(scope="session")
def exported_any_size(tmp_path_factory):
    directory = tmp_path_factory.mktemp("exports") / "any_size"
    nnx.export_model(classifier((None, None, 1)), directory, formats=("onnx", "tflite"), labels=LABELS, verify=False)
    return directory


@pytest.fixture(scope="session")
def exported_table(tmp_path_factory):
    """A model that takes no pictures."""
    directory = tmp_path_factory.mktemp("exports") / "table"
    inputs = keras.Input((4,), name="row")
    nnx.export_model(keras.Model(inputs, keras.layers.Dense(10, name="scores")(inputs)), directory, verify=False)
    return directory


@pytest.fixture(scope="session")
def environments(tmp_path_factory):
    """Folders of links to one runtime with what it requires, and nothing else; "bare" is empty."""
    folders = {"bare": tmp_path_factory.mktemp("bare")}
    for runtime in RUNTIMES.values():
        folders[runtime] = tmp_path_factory.mktemp(runtime)
        link_distributions(runtime, folders[runtime])
    return folders


def link_distributions(name, folder):
    pending, seen = [name], set()
    while pending:
        distribution = importlib.metadata.distribution(pending.pop())
        if distribution.name in seen:
            continue
        seen.add(distribution.name)
        for entry in {file.parts[0] for file in distribution.files} - {"..", "__pycache__"}:
            if not (folder / entry).exists():
                (folder / entry).symlink_to(distribution.locate_file(entry))
        requirements = map(Requirement, distribution.requires or ())
        pending += [row.name for row in requirements if not row.marker or row.marker.evaluate({"extra": ""})]


@pytest.fixture
def start(environments, tmp_path):
    """Start Python, without site-packages, on `arguments` in an empty folder."""

    def start(*arguments, environment):
        empty = tmp_path / "empty"
        empty.mkdir(exist_ok=True)
        # -S leaves site-packages and .pth files out, so that PYTHONPATH is all there is beside the standard library.
        return subprocess.run(
            [sys.executable, "-S", *map(str, arguments)],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(environments[environment]), "PYTHONUTF8": "1"},
            cwd=empty,
            capture_output=True,
            text=True,
            timeout=240,
        )

    return start


@pytest.fixture
def run(start):
    """Run a program of `export/python` where only its runtime is installed."""

    def run(target, *arguments, environment=None):
        return start(PROGRAMS / f"run_{target}.py", *arguments, environment=environment or RUNTIMES[target])

    return run


def load_module(name):
    """Import a module of `export/python` as the programs do: from their own folder."""
    sys.path.insert(0, str(PROGRAMS))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(PROGRAMS))


@pytest.fixture(scope="session")
def picture():
    return load_module("picture")


@pytest.fixture(scope="session")
def png():
    return load_module("picture_png")
