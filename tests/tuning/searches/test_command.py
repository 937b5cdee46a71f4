"""`keras-nnx search`: real processes, killed and begun again."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

import keras_nnx as nnx
from keras_nnx.cli import main

pytestmark = [pytest.mark.multiprocess, pytest.mark.timeout(600)]

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


@pytest.fixture
def tiny(tmp_path):
    (tmp_path / "tiny.py").write_text(TINY)
    (tmp_path / "tmp").mkdir()
    return tmp_path


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
    return {number: max(logged[number], 1) for number in stored}


def results(folder):
    return sorted(path.parent.name for path in (folder / "out/trials").glob("trial_*/result.json"))


def wait_for(condition, seconds=250):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.1)


@pytest.mark.slow
def test_two_workers_and_what_they_leave(tiny):
    """All trials, none twice, processes replaced by new ones, artifacts that verify, and nothing left running."""
    done = finished(tiny, "--recycle", "2", "--constraint", "size_mb<=1", "--objective", "val_accuracy")
    assert done.returncode == 0, done.stdout + done.stderr
    assert nothing_left(tiny)
    assert runs(tiny) == {str(number): 1 for number in range(6)}
    result = nnx.tuning.load_search(tiny / "out")
    assert [trial.state for trial in result.trials] == ["completed"] * 6
    assert {trial.worker for trial in result.trials} == {"worker-1", "worker-2"}
    assert nnx.verify_export(tiny / "out/best/float32").proven
    assert "[6/6]" in done.stdout
    assert str(tiny / "out/search.html") in done.stdout.replace("\n", "")
    log = (tiny / "out/logs/worker-1.log").read_text()
    assert len(set(re.findall(r"process (\d+)", log))) > 1
    again = finished(tiny, "--constraint", "size_mb<=1")
    assert "6 of 6 trials are done" in again.stdout
    assert again.returncode == 0
    assert sum(runs(tiny).values()) == 6
    other = finished(tiny, "--constraint", "size_mb<=2")
    assert other.returncode == 1
    assert "constraints (size_mb<=1 before, size_mb<=2 now)" in other.stderr


@pytest.mark.slow
def test_killed_three_times(tiny):
    """A worker, the chief and the whole search are killed at random; each trial is still run to its end once."""
    chance = random.Random(5)
    for turn in range(3):
        with started(tiny) as process:
            begun = len(results(tiny))
            wait_for(lambda begun=begun: len(results(tiny)) > begun or process.poll() is not None)
            victim = ("worker-1", "chief", "")[turn]
            for number, words in processes(tiny).items():
                if victim and f"{victim}" in words:
                    os.kill(number, signal.SIGKILL)
            time.sleep(chance.uniform(0, 6))
            process.kill()
            process.wait()
        assert none_left(tiny)
    done = finished(tiny)
    assert done.returncode == 0, done.stdout + done.stderr
    assert nothing_left(tiny)
    assert runs(tiny) == {str(number): 1 for number in range(6)}
    assert results(tiny) == [f"trial_{number}" for number in range(6)]
    assert nnx.verify_export(tiny / "out/best/float32").proven


@pytest.mark.slow
def test_interrupted_and_used_twice(tiny):
    """Ctrl-C ends all processes; a folder in use is refused; state that is cut off is recovered from."""
    with started(tiny) as process:
        wait_for(lambda: len(results(tiny)) >= 2 or process.poll() is not None)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    assert nothing_left(tiny)
    text = (tiny / "words.txt").read_text()
    assert "the same command goes on" in " ".join(text.split())
    oracle = tiny / "out/trials/oracle.json"
    oracle.write_text(oracle.read_text()[:200])
    done = finished(tiny)
    assert done.returncode == 0, done.stdout + done.stderr
    assert runs(tiny) == {str(number): 1 for number in range(6)}


@pytest.mark.slow
def test_workers_of_another_machine(tiny):
    """They join by keras-tuner's environment variables, in the folder that both share."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with started(tiny, "--listen", f"127.0.0.1:{port}", "--workers", "1", "--trials", "8") as process:
        wait_for(lambda: (tiny / "out/.state/address.json").exists() or process.poll() is not None)
        place = {"KERASTUNER_ORACLE_IP": "127.0.0.1", "KERASTUNER_ORACLE_PORT": str(port)}
        joined = finished(tiny, "--workers", "1", "--trials", "8", environment=place)
        assert joined.returncode == 0, joined.stdout + joined.stderr
        assert process.wait(250) == 0
    assert nothing_left(tiny)
    workers = {trial.worker for trial in nnx.tuning.load_search(tiny / "out").trials}
    assert len(workers) == 2
    assert any(name.startswith(f"worker-{socket.gethostname()}-") for name in workers)
    assert runs(tiny) == {str(number): 1 for number in range(8)}


@pytest.mark.slow
def test_everything_fails(tiny):
    done = finished(tiny, "--trials", "40", space="faulty")
    assert done.returncode == 1
    assert "a defect of the builder" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(results(tiny)) <= 5
    assert nothing_left(tiny)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--space", "tiny.py:number"], "what nnx.tuning.space returns"),
        (["--space", "tiny.py:missing"], "has no 'missing'; it has"),
        (["--data", "mnisst"], "mnisst"),
        (["--objective", "val_recall"], "val_loss, val_accuracy"),
    ],
)
def test_what_only_the_worker_finds(tiny, arguments, message):
    done = finished(tiny, *arguments)
    assert done.returncode == 1
    assert message in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert none_left(tiny)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--space", "vitt"], "Did you mean vit? There are vit, resnet, convnext, blocks"),
        (["--objective", "val_mystery"], "val_loss, val_accuracy"),
        (["--objective", "latency"], "latency_ms, size_mb"),
        (["--constraint", "latency<=2"], "latency_ms, size_mb"),
        (["--constraint", "latency_ms"], "such as latency_ms<=2"),
        (["--constraint", "latency_ms<=1", "--constraint", "latency_ms>=2"], "contradict each other"),
        (["--constraint", "val_accuracy>=95"], "write 0.95 for 95%"),
    ],
)
def test_refused_at_once(tmp_path, capsys, arguments, message):
    assert main(["search", "--out", str(tmp_path / "out"), *arguments]) == 1
    assert message in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "out").exists()


def test_out_is_a_file(tmp_path, capsys):
    (tmp_path / "out").write_text("words")
    assert main(["search", "--out", str(tmp_path / "out")]) == 1
    assert "is a file: name a directory" in " ".join(capsys.readouterr().err.split())


def test_a_folder_in_use(tmp_path, monkeypatch):
    from keras_nnx.tuning.searches.folder import Folder

    with (
        Folder(tmp_path).locked(),
        pytest.raises(ValueError, match="used by another search"),
        Folder(tmp_path).locked(patience=0.3),
    ):
        pass
    with Folder(tmp_path).locked(patience=0.3):
        pass


def test_help_teaches(capsys):
    main(["search", "--help"])
    text = capsys.readouterr().out
    assert "latency_ms<=" in text
    assert json.dumps("latency_ms<=2") in text or "latency_ms<=2" in text
