"""Quiet while something is timed: the workers of a machine stop for as long as one of them measures."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path


class Quiet:
    """Two locks in a folder, one pair for each machine: those who work share a room, who measures has it alone.

    Before the room there is a gate. Who measures shuts it first, so that nobody comes in any more, and then waits for
    those inside to leave. The system opens both when a process ends, however it ends.

    Args:
        folder: Where the locks are, the same for all workers.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        machine = re.sub(r"\W", "_", socket.gethostname())
        self._gate = os.open(folder / f"gate-{machine}", os.O_RDWR | os.O_CREAT, 0o644)
        self._room = os.open(folder / f"room-{machine}", os.O_RDWR | os.O_CREAT, 0o644)
        self._inside = False

    def close(self) -> None:
        """Leave for good."""
        os.close(self._gate)
        os.close(self._room)

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        """Keep others from measuring, inside the block."""
        self._enter()
        try:
            yield
        finally:
            self._leave()

    @contextlib.contextmanager
    def measuring(self) -> Iterator[None]:
        """Wait until nobody works, and keep it so inside the block."""
        inside = self._inside
        if inside:
            self._leave()
        fcntl.flock(self._gate, fcntl.LOCK_EX)
        fcntl.flock(self._room, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._room, fcntl.LOCK_UN)
            fcntl.flock(self._gate, fcntl.LOCK_UN)
            if inside:
                self._enter()

    def let_measure(self) -> None:
        """Make way if somebody waits to measure, and come back when that is done."""
        if not self._inside:
            return
        try:
            fcntl.flock(self._gate, fcntl.LOCK_SH | fcntl.LOCK_NB)
            fcntl.flock(self._gate, fcntl.LOCK_UN)
        except BlockingIOError:
            self._leave()
            self._enter()

    def _enter(self) -> None:
        fcntl.flock(self._gate, fcntl.LOCK_SH)
        fcntl.flock(self._room, fcntl.LOCK_SH)
        fcntl.flock(self._gate, fcntl.LOCK_UN)
        self._inside = True

    def _leave(self) -> None:
        fcntl.flock(self._room, fcntl.LOCK_UN)
        self._inside = False


@contextlib.contextmanager
def at_work(folder: str) -> Iterator[None]:
    """Keep others from measuring, inside the block: for what a process does before it has a `Quiet`.

    Args:
        folder: Where the locks are.
    """
    quiet = Quiet(Path(folder))
    try:
        with quiet.working():
            yield
    finally:
        quiet.close()
