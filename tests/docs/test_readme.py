"""What the README says first is what works."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def readme():
    return (ROOT / "README.md").read_text()


def programs(text):
    return re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)


@pytest.mark.multiprocess
@pytest.mark.slow
def test_the_program_runs_as_it_stands(readme, tmp_path):
    (program,) = programs(readme)
    assert len([line for line in program.splitlines() if line.strip()]) <= 15
    environment = {**os.environ, "TFDS_DATA_DIR": str(tmp_path / "tfds")}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "TFLite" in done.stdout
    assert (tmp_path / "build" / "readme" / "manifest.json").exists()


def test_commands_and_links_exist(readme):
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    for page in ("README.md", "CONTRIBUTING.md"):
        text = (ROOT / page).read_text()
        assert set(re.findall(r"(?:^|`)make ([a-z]+)", text, flags=re.MULTILINE)) <= targets
        for link in re.findall(r"\]\(([^)#:]+)\)", text):
            assert (ROOT / link).exists(), link


@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.stem)
def test_every_example_is_in_the_readme_and_has_tests(example, readme):
    assert f"python examples/{example.name}" in readme
    assert (ROOT / "tests" / "examples" / f"test_{example.stem}.py").exists()
