"""The folder of a search: what is where, written whole or not at all, and used by one search at a time."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

SEARCH = "search.json"
PAGE = "search.html"
BEST = "best"
TRIALS = "trials"
LOGS = "logs"
WEIGHTS = "model.weights.h5"
_STATE = ".state"
_PREVIOUS = ".previous"


class Folder:
    """Where a search keeps what it knows.

    Args:
        root: The folder that the user has named.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root).absolute()
        self.trials = self.root / TRIALS
        self.state = self.root / _STATE
        self.logs = self.root / LOGS
        self.search = self.root / SEARCH
        self.page = self.root / PAGE
        self.best = self.root / BEST
        self.oracle = self.trials / "oracle.json"
        self.space = self.state / "space.json"
        self.ready = self.state / "ready.json"
        self.over = self.state / "over.json"
        self.address = self.state / "address.json"
        self.finish = self.state / "finish.json"
        self._read: dict[Path, tuple[int, dict[str, Any]]] = {}

    def trial(self, trial_id: str) -> Path:
        """Return the folder of a trial, under the name that keras-tuner gives it."""
        return self.trials / f"trial_{trial_id}"

    def result(self, trial_id: str) -> Path:
        """Return the file with the result of a trial."""
        return self.trial(trial_id) / "result.json"

    def stage(self, worker: str) -> Path:
        """Return the file in which a worker says what it does."""
        return self.state / f"{worker}.json"

    def refusal(self, name: str) -> Path:
        """Return the file in which a process says why it cannot do what it is for."""
        return self.state / f"refusal-{name}.json"

    def read_search(self) -> dict[str, Any] | None:
        """Return what is asked for and found; None if there is no search, or nothing can be read of it.

        Raises:
            ValueError: If there is a file of that name, and it is not one of a search.
        """
        found = read_json(self.search) or read_json(self.state / SEARCH)
        if found is not None and not (isinstance(found, dict) and found.get("format") and "configuration" in found):
            raise ValueError(f"{self.search} is there, and is not of a search: name another folder.")
        return found

    def write_search(self, values: dict[str, Any]) -> None:
        """Write what is asked for and found, twice: without it nothing can be resumed."""
        write_json(self.state / SEARCH, values)
        write_json(self.search, values, keep=True)

    def results(self) -> dict[str, dict[str, Any]]:
        """Return what is stored of the trials that ended, by their numbers in order."""
        found = {}
        for path in self.trials.glob("trial_*/result.json"):
            changed = path.stat().st_mtime_ns
            if self._read.get(path, (0,))[0] != changed:
                values = read_json(path)
                if values is None:
                    continue
                self._read[path] = (changed, values)
            found[path.parent.name.removeprefix("trial_")] = self._read[path][1]
        return {key: found[key] for key in sorted(found, key=int)}

    @contextlib.contextmanager
    def locked(self, patience: float = 30.0, tell: Callable[[str], Any] = lambda line: None) -> Iterator[int]:
        """Hold the folder, and yield the descriptor that holds it with every process that inherits it.

        Args:
            patience: Seconds to wait for processes of an earlier search, which are about to end.
            tell: Is told if it has to wait.

        Raises:
            ValueError: If another search uses the folder.
        """
        self.state.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.state / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            end, told = time.monotonic() + patience, False
            while not _taken(descriptor, fcntl.LOCK_EX):
                if time.monotonic() > end:
                    raise ValueError(f"{self.root} is used by another search, which still runs: name another folder.")
                if not told:
                    tell(f"{self.root} is in use: waiting up to {patience:.0f} s for an earlier search to end.")
                told = True
                time.sleep(0.2)
            yield descriptor
        finally:
            os.close(descriptor)


def write_json(path: Path, values: Any, *, keep: bool = False) -> None:
    """Write a file at once: whoever reads it, and whatever ends this process, it is the old one or the new one.

    Args:
        path: The file.
        values: What goes in.
        keep: Whether the old one stays beside it, for `read_json` to fall back on.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    with partial.open("w", encoding="utf-8") as file:
        json.dump(values, file)
        file.flush()
        os.fsync(file.fileno())
    if keep and read_json(path, fall_back=False) is not None:
        previous = path.with_name(path.name + _PREVIOUS)
        copy = previous.with_name(f".{previous.name}.{os.getpid()}")
        shutil.copyfile(path, copy)
        copy.replace(previous)
    partial.replace(path)


def read_json(path: Path, fall_back: bool = True) -> Any:
    """Return what a file holds; None if it is missing or damaged, and so is the one before it.

    Args:
        path: The file.
        fall_back: Whether to read the one before it.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, json.JSONDecodeError, UnicodeDecodeError):
        return read_json(path.with_name(path.name + _PREVIOUS), fall_back=False) if fall_back else None


def _taken(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
