"""A small search in real processes, and what is to be known of them."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import keras_nnx as nnx

MARK = "KERAS_NNX_TEST_OF_A_SEARCH"
"""In the environment of all its processes."""

TINY = """
import keras
import numpy as np

import keras_nnx as nnx


def network(units, activation):
    rows = keras.Input((6,), name="rows")
    x = keras.layers.Dense(units, activation)(rows)
    return keras.Model(rows, keras.layers.Dense(3, "softmax", name="scores")(x), name="network")


def broken(units):
    raise RuntimeError("a defect of the builder")


def data():
    x = np.random.default_rng(0).normal(size=(96, 6)).astype("float32")
    return (x, (x[:, 0] > 0).astype("int64") + (x[:, 1] > 0))


space = nnx.tuning.space(network, units=nnx.tuning.Int(2, 64), activation=nnx.tuning.Choice(["relu", "tanh"]))
faulty = nnx.tuning.space(broken, units=nnx.tuning.Int(2, 64))
number = 3
"""


def prepare(folder):
    """Write the space and the data of a small search into a folder."""
    (folder / "tiny.py").write_text(TINY)
    (folder / "tmp").mkdir()
    return folder


def surroundings(folder):
    """Return the environment of a search, whose temporary files are in `tmp`."""
    path = str(Path(nnx.__file__).parents[1])
    return {**os.environ, "PYTHONPATH": path, "TMPDIR": str(folder / "tmp"), MARK: str(folder)}


def command(folder, *arguments, space="space"):
    start = [sys.executable, "-m", "keras_nnx"]
    files = ["--space", f"tiny.py:{space}", "--data", "tiny.py:data", "--out", "out"]
    return [*start, "search", *files, "--trials", "6", "--epochs", "2", "--workers", "2", *arguments]


@contextlib.contextmanager
def started(folder, *arguments):
    """Yield a search that does not outlive the block."""
    with (folder / "words.txt").open("ab") as words:
        process = subprocess.Popen(
            command(folder, *arguments), cwd=folder, stdout=words, stderr=words, env=surroundings(folder)
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def finished(folder, *arguments, space="space", environment=None):
    return subprocess.run(
        command(folder, *arguments, space=space),
        cwd=folder,
        env={**surroundings(folder), **(environment or {})},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )


def processes(folder):
    """Return the command lines of the processes of a search, and of all that they have started."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            ours = f"{MARK}={folder}".encode() in (path / "environ").read_bytes().split(b"\0")
            if ours and (path / "stat").read_text().split(") ")[-1][0] != "Z":
                found[int(path.name)] = (path / "cmdline").read_bytes().decode().replace("\0", " ")
    return found


def megabytes(folder):
    """Return what the processes of a search have in memory; what several share counts once."""
    total = 0
    for number in processes(folder):
        with contextlib.suppress(OSError):
            found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{number}/smaps_rollup").read_text(), re.MULTILINE)
            total += int(found[1]) if found else 0
    return total * 1024 / 1e6


def none_left(folder, seconds=30):
    end = time.monotonic() + seconds
    while processes(folder) and time.monotonic() < end:
        time.sleep(0.1)
    left = processes(folder)
    assert not left
    return True


def nothing_left(folder):
    """Return whether neither processes nor temporary files are left."""
    return none_left(folder) and not list((folder / "tmp").iterdir())


def runs(folder):
    """Return how often each trial was run to its end, by the results and by the logs of the workers.

    A worker that is killed between the two leaves a result and no line.
    """
    text = "".join(path.read_text(errors="replace") for path in (folder / "out/logs").glob("worker-*.log"))
    logged = Counter(re.findall(r"trial (\d+) ended", text))
    stored = {name.removeprefix("trial_") for name in results(folder)}
    assert set(logged) <= stored
    return {str(int(number)): max(logged[number], 1) for number in stored}  # "07" where there are many


def results(folder):
    return sorted(path.parent.name for path in (folder / "out/trials").glob("trial_*/result.json"))


def wait_for(condition, seconds=250):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.1)
