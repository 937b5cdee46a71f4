"""The supervisor: starts the chief and the workers, watches over them, and leaves none behind."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from keras_nnx.tuning.searches.folder import Folder, read_json, write_json
from keras_nnx.tuning.searches.result import FAILED, TrialResult

DONE, REFUSED, RECYCLED = 0, 3, 75
_PAUSE_SECONDS = 0.2
_MOST_DEATHS_OF_A_TRIAL = 2
_MOST_DEATHS_OF_A_CHIEF = 3
_MOST_DEATHS_WITHOUT_RESULT = 6
_MOST_DEATHS_BEFORE_THE_FIRST_TRIAL = 1
_PATIENCE_SECONDS = 10.0
_PROCESSES = Path(__file__).with_name("processes.py")
_QUIET = Path(__file__).with_name("quiet.py")
_ELSEWHERE = "KERASTUNER_ORACLE_IP"


class SearchError(Exception):
    """A search cannot go on; the message says why."""


class Supervisor:
    """Runs a search in processes: one with the oracle, the chief, and some that run trials, the workers.

    A worker that dies is started again under its name, by which the chief knows the trial that it had. A trial whose
    worker dies twice is given up. A worker that has run its share of trials ends by itself and is replaced, since
    memory grows with every model. If the chief dies, all are started again.

    Args:
        folder: Of the search, which this process has locked.
        lock: The descriptor of the lock, which all inherit: the folder is free when the last of them has gone. None
            where another process has it.
        workers: How many.
        recycle: After how many trials a worker is replaced.
        address: Where the chief listens.
        tell: Is told what is worth a line.
        place: For temporary files of all processes.

    Attributes:
        joined: Whether the chief runs on another machine, as keras-tuner's environment variables say.
    """

    def __init__(
        self,
        folder: Folder,
        lock: int | None,
        workers: int,
        recycle: int,
        address: str,
        tell: Callable[[str], None],
        place: Path,
    ) -> None:
        self.folder, self.lock, self.recycle, self.address, self.tell = folder, lock, recycle, address, tell
        self.place = place
        self.joined = self.elsewhere()
        # Containers share names, and two supervisors may run on one machine.
        machine = f"{socket.gethostname()}-{secrets.token_hex(3)}-" if self.joined else ""
        self.names = [f"worker-{machine}{number}" for number in range(1, workers + 1)]
        self._running: dict[str, subprocess.Popen] = {}
        self._chief: subprocess.Popen | None = None
        self._chief_deaths = 0
        self._deaths = 0
        self._results = 0

    @staticmethod
    def elsewhere() -> bool:
        """Return whether the environment names the chief of another machine."""
        return _ELSEWHERE in os.environ

    def run(self, show: Callable[[], Any]) -> None:
        """Run until no trial is left.

        Args:
            show: Is called a few times a second.

        Raises:
            SearchError: If the search cannot go on.
        """
        try:
            self._begin(show)
            while self._running:
                show()
                time.sleep(_PAUSE_SECONDS)
                self._look_after_chief()
                self._look_after_workers()
            self._wait_for_others(show)
        finally:
            self.end()

    def finish(self) -> None:
        """Let a process put the best model in place.

        Raises:
            SearchError: If it cannot.
        """
        self.folder.refusal("finish").unlink(missing_ok=True)
        process = self._start("finish", "finish", str(self.folder.root))
        try:
            code = process.wait()
        finally:
            process.kill()
            process.wait()
        if code != DONE:
            raise SearchError(self._last_words("finish"))

    def end(self) -> None:
        """End all processes."""
        processes = [*self._running.values(), *([self._chief] if self._chief else [])]
        for process in processes:
            process.kill()
        for process in processes:
            process.wait()
            if process.stdin is not None:
                process.stdin.close()
        self._running, self._chief = {}, None

    def _begin(self, show: Callable[[], Any]) -> None:
        """Start the first worker, which writes down the space, and then the others."""
        if not self.joined:
            for path in (self.folder.address, self.folder.ready, self.folder.over):
                path.unlink(missing_ok=True)
            for path in (*self.folder.state.glob("worker-*.json*"), *self.folder.state.glob("refusal-*.json")):
                path.unlink()
        first = self.names[0]
        self._start_worker(first)
        while not self.folder.ready.exists():
            self._look_after_workers()
            if not self._running or self._deaths > _MOST_DEATHS_BEFORE_THE_FIRST_TRIAL:
                raise SearchError(self._last_words(first))
            show()
            time.sleep(_PAUSE_SECONDS)
        if not self.joined:
            self._start_chief()
        for name in self.names[1:]:
            self._start_worker(name)

    def _look_after_chief(self) -> None:
        code = self._chief.poll() if self._chief is not None else None
        if code is None:
            return
        self._chief_deaths += 1
        if self._chief_deaths > _MOST_DEATHS_OF_A_CHIEF:
            raise SearchError(self._last_words("chief"))
        self.tell(f"the chief ended with {described(code)}: it is started again, and the workers with it")
        running = list(self._running)
        self.end()
        self.folder.address.unlink(missing_ok=True)
        self._start_chief(again=True)
        for name in running:
            self._start_worker(name)

    def _look_after_workers(self) -> None:
        for name, process in list(self._running.items()):
            code = process.poll()
            if code is None:
                continue
            assert process.stdin is not None  # for the type checker
            process.stdin.close()
            del self._running[name]
            if code == REFUSED and self.folder.refusal(name).exists():
                raise SearchError(self._last_words(name))
            # What a model runs may end the process with any code.
            in_order = code in (DONE, RECYCLED) and not self._open_trial(name)
            if not in_order:
                self._note_death(name, code)
            if code != DONE or not in_order:
                self._start_worker(name)

    def _open_trial(self, name: str) -> str:
        """Return the trial that a worker had not ended, or nothing."""
        trial = (read_json(self.folder.stage(name)) or {}).get("trial", "")
        return "" if not trial or self.folder.result(trial).exists() else trial

    def _note_death(self, name: str, code: int) -> None:
        trial = self._open_trial(name)
        results = len(self.folder.results())
        self._deaths = self._deaths + 1 if results == self._results else 1
        self._results = results
        if self._deaths > _MOST_DEATHS_WITHOUT_RESULT:
            raise SearchError(f"{self._last_words(name)}; it is the {self._deaths}th time without a trial in between")
        if not trial:
            self.tell(f"{name} ended with {described(code)}: it is started again")
            return
        counter = self.folder.trial(trial) / "deaths.json"
        deaths = (read_json(counter) or 0) + 1
        write_json(counter, deaths)
        if deaths < _MOST_DEATHS_OF_A_TRIAL:
            self.tell(f"{name} ended with {described(code)} in trial {trial}: both are started again")
            return
        self.tell(f"{name} ended with {described(code)} in trial {trial} again: the trial is given up")
        self._give_up(trial, name, code, deaths)

    def _give_up(self, trial: str, name: str, code: int, deaths: int) -> None:
        written = read_json(self.folder.trial(trial) / "trial.json")
        result = TrialResult(
            trial,
            FAILED,
            values=written["hyperparameters"]["values"] if written else {},
            reason=f"its process ended {deaths} times, with {described(code)} at last; see logs/{name}.log",
            worker=name,
        )
        write_json(self.folder.result(trial), {**result.to_dict(), "drawn": None})

    def _wait_for_others(self, show: Callable[[], Any]) -> None:
        """Wait until workers of other machines have ended their trials; those of this one have."""
        patience = time.monotonic() + _PATIENCE_SECONDS
        while not self.joined and not self.folder.over.exists():
            deaths = self._chief_deaths
            self._look_after_chief()
            if self._chief_deaths > deaths and not (read_json(self.folder.oracle) or {}).get("ongoing_trials"):
                return  # it was about to say so
            show()
            time.sleep(_PAUSE_SECONDS)
            if time.monotonic() > patience:
                patience = float("inf")
                self.tell("waiting for the trials of workers on other machines; Ctrl-C leaves them for later")

    def _start_worker(self, name: str) -> None:
        self.folder.stage(name).unlink(missing_ok=True)
        self._running[name] = self._start(name, "worker", str(self.folder.root), name, str(self.recycle))

    def _start_chief(self, again: bool = False) -> None:
        how = ("again",) if again else ()
        self._chief = self._start("chief", "chief", str(self.folder.root), self.address, *how, KERAS_BACKEND="numpy")

    def _start(self, name: str, module: str, *arguments: str, **environment: str) -> subprocess.Popen:
        self.folder.logs.mkdir(parents=True, exist_ok=True)
        # -P: the current folder may hold a file that is called like a module. What ends the process with this one
        # comes before TensorFlow, whose import takes seconds, and waits while somebody measures.
        code = (
            f"import runpy; runpy.run_path({str(_PROCESSES)!r})['end_with_parent']()\n"
            f"with runpy.run_path({str(_QUIET)!r})['at_work']({str(self.folder.state)!r}):\n"
            f"    from keras_nnx.tuning.searches.{module} import main\n"
            f"main()"
        )
        with (self.folder.logs / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-P", "-c", code, *arguments],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env={**self._defaults(), **os.environ, "TMPDIR": str(self.place), **environment},
                pass_fds=() if self.lock is None else (self.lock,),
                start_new_session=True,
            )

    def _defaults(self) -> dict[str, str]:
        """Return the settings that a user's environment may override: the processors are shared."""
        threads = str(max(1, (os.cpu_count() or 1) // len(self.names)))
        return {
            "TF_CPP_MIN_LOG_LEVEL": "2",
            "TF_NUM_INTRAOP_THREADS": threads,
            "TF_NUM_INTEROP_THREADS": threads,
            "OMP_NUM_THREADS": threads,
        }

    def _last_words(self, name: str) -> str:
        refusal = read_json(self.folder.refusal(name))
        if refusal is not None:
            return refusal["message"]
        path = self.folder.logs / f"{name}.log"
        lines = path.read_text(errors="replace").strip().splitlines() if path.exists() else []
        return f"{name} ended before its time; see {path}. Its last words: {lines[-1] if lines else 'none'}"


def described(code: int) -> str:
    """Return what the exit code of a process means."""
    return f"signal {-code}" if code < 0 else f"exit code {code}"
