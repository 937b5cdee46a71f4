"""Whatever moment an export is killed at, the directory holds one whole export, and nothing goes on running."""

import contextlib
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import keras_nnx as nnx
from keras_nnx.export import _worker

PROGRAM = """
import itertools, os, sys
import keras
import keras_nnx as nnx

keras.utils.set_random_seed(1)
rows = keras.Input((8,), name="rows")
model = keras.Model(rows, keras.layers.Dense(4, name="scores")(rows), name="model")
if sys.argv[2] == "once":
    nnx.export_model(model, sys.argv[1], labels=["0"] * 4)
    sys.exit()
print("ready", flush=True)
parent = os.getppid()
for turn in itertools.count(1):
    if os.getppid() != parent:
        sys.exit("the test that started this is gone")
    nnx.export_model(model, sys.argv[1], labels=[str(turn)] * 4, overwrite=True)
"""
LONGEST = 9.0
"""Seconds: more than one such export takes."""


@contextlib.contextmanager
def started(directory, how):
    """Yield a process that exports, which does not outlive the block."""
    command = [sys.executable, "-c", PROGRAM, str(directory), how]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


def status(process):
    """Return the state of a process and its parent, None if it is gone."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return fields[0], int(fields[1])


def children(parent):
    processes = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
    return [process for process in processes if (status(process) or ("", 0))[1] == parent]


def alive(process):
    return (status(process) or "Z")[0] != "Z"


@pytest.mark.slow
@pytest.mark.multiprocess
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.minutes
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(4))
def test_five_kills_of_an_export(seed, tmp_path):
    """Four times five kills at random moments of exports that replace one directory again and again."""
    moments = random.Random(seed)
    directory = tmp_path / "out" / "model"
    with started(directory, "once") as first:
        assert first.wait(120) == 0
    for _ in range(5):
        with started(directory, "again") as exporter:
            assert exporter.stdout.readline() == b"ready\n"
            time.sleep(moments.uniform(0, LONGEST))
            workers = children(exporter.pid)
            exporter.send_signal(signal.SIGKILL)
            exporter.wait()
        assert nnx.verify_export(directory).proven
        deadline = time.monotonic() + 60
        while any(alive(worker) for worker in workers):
            assert time.monotonic() < deadline, "a child outlived the export that started it"
            time.sleep(0.05)
    with started(directory, "again") as exporter:  # clears what the others left, and is ended like a user would
        before = directory.stat().st_ino
        while directory.stat().st_ino == before:
            assert exporter.poll() is None
            time.sleep(0.1)
        exporter.send_signal(signal.SIGINT)
        exporter.wait(60)
    assert nnx.verify_export(directory).proven
    assert [path.name for path in directory.parent.iterdir()] == ["model"]


@pytest.mark.multiprocess
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_worker_that_hangs_ends_with_its_parent():
    waiting = f"import os, runpy; runpy.run_path({str(_worker.__file__)!r})['_end_with'](os.getppid())"
    program = (
        "import subprocess, sys; "
        f"print(subprocess.Popen([sys.executable, '-c', {waiting!r}], stdout=subprocess.DEVNULL).pid, flush=True); "
        "sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        child = int(parent.stdout.readline())
        time.sleep(1.5)
        assert alive(child)
        parent.kill()
    deadline = time.monotonic() + 20
    while alive(child):
        assert time.monotonic() < deadline
        time.sleep(0.05)
