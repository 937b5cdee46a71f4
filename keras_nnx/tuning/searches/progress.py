"""The progress of a search: a live table on a terminal, a line for each trial elsewhere."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from keras_nnx.tuning.searches.result import COMPLETED, FAILED, REJECTED, RUNNING, SearchResult, TrialResult

_STYLES = {COMPLETED: "green", FAILED: "red", REJECTED: "yellow", RUNNING: "cyan"}
_MOST_ROWS = 25


class Progress:
    """Shows a search while it runs.

    Args:
        console: Where to.
        read: Returns the search as it is now.
        trials: How many trials there will be.
    """

    def __init__(self, console: Console, read: Callable[[], SearchResult], trials: int) -> None:
        self.console, self.read, self.trials = console, read, trials
        self.started = time.monotonic()
        self._live: Live | None = None
        self._told: set[str] = set()
        self._shown = 0.0
        self._before = self._ended = 0
        self._last = self.started

    def __enter__(self) -> Progress:
        self._told = {trial.id for trial in self.read().trials if trial.state != RUNNING}
        self._before = self._ended = len(self._told)
        if self.console.is_terminal:
            self._live = Live(console=self.console, auto_refresh=False, transient=True)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def tell(self, line: str) -> None:
        """Write a line above the table."""
        self.console.print(line, highlight=False, markup=False, soft_wrap=True)

    def show(self, last: bool = False) -> None:
        """Show what has changed, at most once a second: what is measured meanwhile is not to be disturbed."""
        if not last and time.monotonic() < self._shown + 1:
            return
        self._shown = time.monotonic()
        result = self.read()
        if self._live is not None:
            self._live.update(Group(self._headline(result), trial_table(result, _MOST_ROWS)), refresh=True)
            return
        for trial in result.trials:
            if trial.state != RUNNING and trial.id not in self._told:
                self._told.add(trial.id)
                self.tell(f"[{len(self._told)}/{self.trials}] {trial_line(trial, result)}")

    def _headline(self, result: SearchResult) -> Text:
        ended = sum(trial.state != RUNNING for trial in result.trials)
        now = time.monotonic()
        if ended > self._ended:
            self._ended, self._last = ended, now
        left = ""
        if self._before < ended < self.trials:
            pace = (self._last - self.started) / (ended - self._before)
            left = f", about {clock(max(0.0, pace * (self.trials - ended) - (now - self._last)))} left"
        best = result.best
        found = "" if best is None else f"; best so far: trial {best.id}, {_measures(best, result)}"
        if ended == len(result.trials) < self.trials and ended == self._before:
            found += "; the workers start, which takes half a minute"
        return Text(f"{ended} of {self.trials} trials, {clock(now - self.started)}{left}{found}", style="bold")


def trial_table(result: SearchResult, most: int | None = None) -> Table:
    """Return the trials as a table, the last ones if there are more than fit.

    What tells most of a trial stands at its end: what is being done, why it came to nothing, or what was chosen.
    """
    names = measured_names(result)
    several = len(result.objectives) > 1
    front = {trial.id for trial in result.front} if several else {result.best.id} if result.best else set()
    caption = "* the Pareto front: no other is better in one objective and as good in the rest" if several else "* best"
    table = Table(box=None, pad_edge=False, collapse_padding=True, expand=True)
    table.caption, table.caption_justify = caption if front else None, "left"
    table.add_column("trial", no_wrap=True, min_width=5)
    table.add_column("state", no_wrap=True, min_width=max(map(len, _STYLES)))
    for name in names:
        table.add_column(name, justify="right", no_wrap=True, min_width=len(name))
    table.add_column("time", justify="right", no_wrap=True, min_width=len("10 min 00 s"))
    table.add_column("", overflow="ellipsis", no_wrap=True, ratio=1)
    for trial in result.trials if most is None else result.trials[-most:]:
        cells: list[Any] = [Text(f"{trial.id}{'*' if trial.id in front else ''}")]
        cells.append(Text(trial.state, style=_STYLES.get(trial.state, "")))
        cells += [_number(trial.measures.get(name)) for name in names]
        cells += [clock(trial.seconds) if trial.seconds else ""]
        cells.append(Text(_values(trial) if trial.state == COMPLETED else trial.reason))
        table.add_row(*cells)
    return table


def best_line(result: SearchResult) -> list[str]:
    """Return what the best is, in full, and what its artifacts were measured to be once more."""
    best = result.best
    if best is None:
        return []
    lines = [f"Best: trial {best.id}, {_measures(best, result)} ({_values(best)})"]
    afresh = ", ".join(f"{name} {_number(value)}" for name, value in result.afresh.get("measures", {}).items())
    return [*lines, f"Its artifacts, measured once more: {afresh}"] if afresh else lines


def trial_line(trial: TrialResult, result: SearchResult) -> str:
    """Return a trial in one line."""
    found = trial.reason if trial.state != COMPLETED else _measures(trial, result)
    return f"trial {trial.id} {trial.state} in {clock(trial.seconds)}: {found} ({_values(trial)})"


def measured_names(result: SearchResult) -> list[str]:
    """Return the names of what a search looks at, each once."""
    return list(dict.fromkeys([*(aim.name for aim in result.objectives), *(rule.name for rule in result.constraints)]))


def clock(seconds: float) -> str:
    """Return a time as people say it."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def _measures(trial: TrialResult, result: SearchResult) -> str:
    return ", ".join(
        f"{name} {_number(trial.measures[name])}" for name in measured_names(result) if name in trial.measures
    )


def _values(trial: TrialResult) -> str:
    return ", ".join(f"{_short(name)}={_shown(value)}" for name, value in trial.values.items())


def _short(name: str) -> str:
    return name.split("/", 1)[-1]


def _shown(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _number(value: float | None) -> str:
    if value is None or not math.isfinite(value):
        return "" if value is None else str(value)
    return f"{value:,.0f}" if value == round(value) and abs(value) >= 1000 else f"{value:.4g}"
