"""The Python on the pages runs, and the reference leaves out no name and no option."""

import importlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from keras_nnx.cli.main import app
from keras_nnx.export import job
from keras_nnx.export.lowering import layers, operators
from keras_nnx.export.manifest import ARTIFACT_NAMES, LABELS, MANIFEST, PROBES
from keras_nnx.export.workers import shared_worker

DOCS = Path(__file__).parents[2] / "docs"
WITHOUT_PYTHON = {"run-an-artifact"}  # it shows export/README.md, whose programs tests/consumers runs
PAGES = [DOCS / "index.md", *(p for p in sorted((DOCS / "how-to").glob("*.md")) if p.stem not in WITHOUT_PYTHON)]
ROOMS = (
    "layers",
    "blocks",
    "losses",
    "metrics",
    "optimizers",
    "schedules",
    "callbacks",
    "models",
    "training",
    "tuning",
    "data",
    "export",
)
BLOCK = re.compile(r"^```python([^\n]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
ON_JAX = "# KERAS_BACKEND=jax\n"


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """One folder for all pages, in which the exports' child process starts: pages name folders as relative paths."""
    folder = tmp_path_factory.mktemp("workplace")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        with shared_worker():
            yield folder


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """The digits are prepared once for all pages."""
    return tmp_path_factory.mktemp("prepared")


@pytest.fixture
def kept_apart(workplace, data_dir, monkeypatch):
    """A page finds the folder empty, and what it teaches the engine is forgotten."""
    for entry in workplace.iterdir():
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    monkeypatch.setenv("TFDS_DATA_DIR", str(data_dir))
    monkeypatch.setattr(job, "_LATENCY_SECONDS", 0.0)
    monkeypatch.setattr(layers, "_REGISTRY", dict(layers._REGISTRY))
    monkeypatch.setattr(operators, "_REGISTRY", dict(operators._REGISTRY))


def blocks(page):
    """Return the blocks of a page that run, each at its own line, so that a traceback points into the page."""
    text = page.read_text(encoding="utf-8")
    found = []
    for block in BLOCK.finditer(text):
        source = "\n" * text.count("\n", 0, block.start(2)) + block.group(2)
        code = compile(source, str(page), "exec")
        if "no-run" not in block.group(1):
            found.append((block.group(2), code))
    return found


def run_on_jax(source):
    """Run a program of its own: the backend is chosen when Keras is imported."""
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", source], env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.startswith("jax\n")


@pytest.mark.slow
@pytest.mark.multiprocess
@pytest.mark.usefixtures("kept_apart")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_runs(page):
    namespace = {"__name__": "__main__"}
    found = blocks(page)
    assert found
    for source, code in found:
        if source.startswith(ON_JAX):
            run_on_jax(source)
        else:
            exec(code, namespace)


@pytest.mark.parametrize("room", ROOMS)
def test_the_reference_has_every_public_name(room):
    text = (DOCS / "reference" / f"{room}.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\.\. auto(?:class|function|exception):: (\w+)$", text, re.MULTILINE)
    assert sorted(listed) == sorted(importlib.import_module(f"keras_nnx.{room}").__all__)


def test_the_reference_has_every_command_and_option():
    page = (DOCS / "reference" / "command-line.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## keras-nnx (\w+)\n(.*?)(?=^## |\Z)", page, re.DOTALL | re.MULTILINE))
    commands = typer.main.get_command(app).commands
    assert sorted(sections) == sorted(commands)
    for name, command in commands.items():
        real = {option for parameter in command.params for option in parameter.opts if option.startswith("--")}
        written = set(re.findall(r"^\| `(--[\w-]+)` \|", sections[name], re.MULTILINE))
        assert written == real - {"--help"}, name


def test_the_pages_name_every_file_of_an_export():
    page = (DOCS / "how-to" / "export-a-model.md").read_text(encoding="utf-8")
    for name in (*ARTIFACT_NAMES.values(), LABELS, MANIFEST, PROBES):
        assert f"`{name}" in page
