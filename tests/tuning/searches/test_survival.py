"""Searches in several processes, killed and begun again."""

from __future__ import annotations

import os
import random
import re
import signal
import socket
import time

import pytest

import keras_nnx as nnx
from tests.tuning.searches.running import (
    finished,
    megabytes,
    none_left,
    nothing_left,
    processes,
    results,
    runs,
    started,
    wait_for,
)

pytestmark = [pytest.mark.multiprocess, pytest.mark.timeout(600)]


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
    assert re.search(r"^0\*? +completed .*activation=(relu|tanh) *$", done.stdout, re.MULTILINE)
    assert "Its artifacts, measured once more: size_mb" in done.stdout
    assert str(tiny / "out/search.html") in done.stdout.replace("\n", "")
    log = (tiny / "out/logs/worker-1.log").read_text()
    assert len(set(re.findall(r"process (\d+)", log))) > 1
    again = finished(tiny, "--constraint", "size_mb<=1", "--trials", "2")
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
def test_memory(tiny):
    """Processes are replaced before they have grown: all together they stay under 1.5 GB, however many trials."""
    most = 0.0
    with started(tiny, "--workers", "1", "--trials", "12", "--epochs", "1", "--recycle", "4") as process:
        while process.poll() is None:
            most = max(most, megabytes(tiny))
            time.sleep(0.5)
        assert process.wait() == 0
    assert nothing_left(tiny)
    assert runs(tiny) == {str(number): 1 for number in range(12)}
    assert 200 < most < 1500


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
