"""A child process for what may crash, leak or hang, or has to happen where this package was never imported."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

_SCRIPT = Path(__file__).with_name("_worker.py")
_LAST_WORDS = 1500
_shared: list[Worker] = []


class WorkerError(Exception):
    """The child reported an error, died or did not answer in time; the message has its last words."""


class Worker:
    """A clean Python process that runs the tasks of `_worker.py`, one at a time.

    It starts in isolated mode, so that neither the current folder nor the environment adds anything to what it
    imports, and ends with its parent, whose end closes its standard input.
    """

    def __init__(self) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  (closed by close())
        self._process = subprocess.Popen(
            [sys.executable, "-I", str(_SCRIPT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"},
            start_new_session=True,
        )
        self._buffer = b""

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def call(self, task: str, timeout: float, **arguments: Any) -> dict[str, Any]:
        """Run `task` in the child and return its answer.

        Args:
            task: Name of a function of `_worker.py`.
            timeout: Seconds to wait; a child that takes longer is killed.
            **arguments: What the task takes, in types that JSON knows.

        Raises:
            WorkerError: If the task fails, the child dies, or time runs out.
        """
        request = json.dumps({"task": task, "arguments": arguments}) + "\n"
        assert self._process.stdin is not None  # for the type checker: it was asked for above
        try:
            self._process.stdin.write(request.encode())
            self._process.stdin.flush()
            answer = json.loads(self._read_line(task, timeout))
        except (BrokenPipeError, EOFError) as error:
            code = self._process.wait()
            raise WorkerError(
                f"the child process ended with {_describe(code)} during {task}. {self._tail()}"
            ) from error
        if "error" in answer:
            raise WorkerError(answer["error"])
        return answer["result"]

    def close(self) -> None:
        """End the child and wait for it."""
        if self.alive:
            self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._log):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()

    def _read_line(self, task: str, timeout: float) -> bytes:
        assert self._process.stdout is not None  # for the type checker
        deadline = time.monotonic() + timeout
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._buffer:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    self._process.kill()
                    raise WorkerError(f"the child process did not finish {task} in {timeout:.0f} s. {self._tail()}")
                chunk = os.read(self._process.stdout.fileno(), 65536)
                if not chunk:
                    raise EOFError
                self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line

    def _tail(self) -> str:
        self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, self._log.tell() - _LAST_WORDS))
        words = self._log.read().decode(errors="replace").strip()
        return f"Its last words: {words}" if words else "It left no message."


@contextlib.contextmanager
def shared_worker() -> Iterator[None]:
    """Let every export and verification inside the block use one child process, instead of starting one each."""
    _shared.append(Worker())
    try:
        yield
    finally:
        _shared.pop().close()


@contextlib.contextmanager
def borrowed_worker() -> Iterator[Worker]:
    """Yield the shared worker of the enclosing block, made anew if it died, or else one for this use only."""
    if not _shared:
        with Worker() as worker:
            yield worker
        return
    if not _shared[-1].alive:
        _shared[-1].close()
        _shared[-1] = Worker()
    yield _shared[-1]


def _describe(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
