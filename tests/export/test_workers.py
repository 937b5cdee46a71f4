import os
import signal
import time
from pathlib import Path

import pytest

from keras_nnx.export import _worker, workers
from keras_nnx.export.workers import Worker, WorkerError, borrowed_worker, shared_worker

pytestmark = pytest.mark.multiprocess


@pytest.fixture
def child(tmp_path, monkeypatch):
    """A worker whose tasks are those of a script made for the test, which starts at once."""
    script = tmp_path / "script.py"
    source = Path(_worker.__file__).read_text()
    tasks = (
        "\n\ndef echo(value):\n    print('noise')\n    return {'value': value}\n"
        "\n\ndef die():\n    import sys\n    sys.stderr.write('last words')\n    sys.stderr.flush()\n    os._exit(3)\n"
        "\n\ndef crash():\n    os.kill(os.getpid(), 11)\n"
        "\n\ndef hang():\n    import time\n    time.sleep(60)\n"
        "\n\ndef fail():\n    raise ValueError('reason')\n"
        "\n\nTASKS.update(echo=echo, die=die, crash=crash, hang=hang, fail=fail)\n\n\nif __name__"
    )
    script.write_text(source.replace("\n\nif __name__", tasks))
    monkeypatch.setattr(workers, "_SCRIPT", script)
    with Worker() as worker:
        yield worker


def test_answers_and_ignores_what_is_printed(child):
    assert child.call("echo", 30, value=[1, "a"]) == {"value": [1, "a"]}
    assert child.call("echo", 30, value=None) == {"value": None}


def test_an_error_is_passed_on_and_the_child_lives(child):
    with pytest.raises(WorkerError, match="ValueError: reason"):
        child.call("fail", 30)
    assert child.call("echo", 30, value=1) == {"value": 1}


def test_a_dead_child_leaves_its_last_words(child):
    with pytest.raises(WorkerError, match=r"exit code 3 during die.*last words"):
        child.call("die", 30)
    with pytest.raises(WorkerError, match="exit code 3"):
        child.call("echo", 30, value=1)


def test_a_crash_names_the_signal(child):
    with pytest.raises(WorkerError, match="signal 11"):
        child.call("crash", 30)


def test_a_hanging_child_is_ended(child):
    start = time.monotonic()
    with pytest.raises(WorkerError, match="did not finish hang in 1 s"):
        child.call("hang", 1)
    assert time.monotonic() - start < 10
    child._process.wait(10)
    assert not child.alive


def test_the_shared_worker_is_replaced_after_its_death(child):
    with shared_worker():
        with borrowed_worker() as first:
            os.kill(first._process.pid, signal.SIGKILL)
            first._process.wait(10)
        with borrowed_worker() as second:
            assert second.alive
            assert second is not first
    assert not second.alive


def test_the_child_does_not_know_this_package():
    imported = [line for line in Path(_worker.__file__).read_text().splitlines() if "import" in line.split(" ")]
    assert imported
    assert not [line for line in imported if "keras" in line]
