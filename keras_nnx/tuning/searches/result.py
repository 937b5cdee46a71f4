"""What a search has found: trials, the Pareto front, the best."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_nnx.tuning.searches.objectives import Constraint, Objective, parse_constraint, parse_objective

FORMAT = 1
COMPLETED, INFEASIBLE, REJECTED, FAILED, PRUNED, RUNNING = (
    "completed",
    "infeasible",
    "rejected",
    "failed",
    "pruned",
    "running",
)
STATES = {
    COMPLETED: "trained, and its artifact keeps all constraints",
    INFEASIBLE: "trained, and its artifact breaks a constraint",
    REJECTED: "not trained: it cannot be built or exported, or the untrained artifact breaks a constraint",
    FAILED: "an error, or an objective that is no number",
    PRUNED: "ended early, since others did better at that epoch",
    RUNNING: "under way",
}


@dataclasses.dataclass(frozen=True)
class TrialResult:
    """One trial.

    Args:
        id: Its number, as in the names of folders.
        state: One of `STATES`.
        values: What was chosen, by the name of the range.
        measures: What was measured, by the name of the quantity.
        reason: Why it was not completed; `""` if it was.
        seconds: How long it took.
        curves: One value an epoch, by the name of the metric.
        artifact: Where its proven artifacts are, within the folder of the search; None if there are none.
        worker: Which process ran it.
        notes: What else is worth knowing, such as that a latency did not settle.
    """

    id: str
    state: str
    values: dict[str, Any] = dataclasses.field(default_factory=dict)
    measures: dict[str, float] = dataclasses.field(default_factory=dict)
    reason: str = ""
    seconds: float = 0.0
    curves: dict[str, list[float]] = dataclasses.field(default_factory=dict)
    artifact: str | None = None
    worker: str = ""
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the fields in types that JSON knows."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TrialResult:
        """Return the trial that `to_dict` wrote."""
        known = {field.name for field in dataclasses.fields(cls)}
        return cls(
            **{**{name: value for name, value in values.items() if name in known}, "notes": tuple(values["notes"])}
        )


@dataclasses.dataclass(frozen=True)
class SearchResult:
    """What a search has found.

    Args:
        directory: The folder of the search.
        configuration: What was asked for.
        objectives: The first decides which of the front is called best.
        constraints: What a trial has to keep.
        trials: In the order in which they began.
        seconds: How long it took: all sessions together, but those that were killed.
        environment: Versions, processors.
        afresh: What the artifacts of the best were measured to be when they were put in place: `measures` and `notes`.
        logarithmic: The names of ranges that are searched by their logarithm.
    """

    directory: Path
    configuration: dict[str, Any]
    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...]
    trials: tuple[TrialResult, ...]
    seconds: float = 0.0
    environment: dict[str, str] = dataclasses.field(default_factory=dict)
    afresh: dict[str, Any] = dataclasses.field(default_factory=dict)
    logarithmic: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Return how many trials there are, and the best."""
        best = "no trial completed" if self.best is None else f"the best is trial {self.best.id}"
        return f"<SearchResult of {len(self.trials)} trials in {self.directory}: {best}>"

    def __str__(self) -> str:
        """Return a line for each trial, and the best."""
        from keras_nnx.tuning.searches.progress import best_line, trial_line

        return "\n".join([*(trial_line(trial, self) for trial in self.trials), *best_line(self)])

    @property
    def front(self) -> tuple[TrialResult, ...]:
        """The completed trials to which no other is better in one objective and as good in all, the best first."""
        return pareto_front(self.trials, self.objectives)

    @property
    def best(self) -> TrialResult | None:
        """The first of the front; None if no trial was completed."""
        return next(iter(self.front), None)

    def to_dict(self) -> dict[str, Any]:
        """Return the result in types that JSON knows."""
        return {
            "format": FORMAT,
            "configuration": self.configuration,
            "objectives": [f"{objective.direction}:{objective.name}" for objective in self.objectives],
            "constraints": [str(constraint) for constraint in self.constraints],
            "trials": [trial.to_dict() for trial in self.trials],
            "front": [trial.id for trial in self.front],
            "best": self.best.id if self.best else None,
            "seconds": self.seconds,
            "environment": self.environment,
            "afresh": self.afresh,
            "logarithmic": list(self.logarithmic),
        }

    @classmethod
    def from_dict(cls, directory: Path, values: dict[str, Any]) -> SearchResult:
        """Return the result that `to_dict` wrote, of a search in `directory`."""
        return cls(
            directory,
            values["configuration"],
            tuple(parse_objective(text) for text in values["objectives"]),
            tuple(parse_constraint(text) for text in values["constraints"]),
            tuple(TrialResult.from_dict(trial) for trial in values["trials"]),
            values["seconds"],
            values["environment"],
            values["afresh"],
            tuple(values.get("logarithmic", ())),
        )

    def to_json(self, path: str | Path | None = None) -> str:
        """Return the result as JSON, and write it to `path` if one is given."""
        text = json.dumps(self.to_dict(), indent=2)
        if path is not None:
            Path(path).write_text(text + "\n", encoding="utf-8")
        return text

    def to_html(self, path: str | Path | None = None) -> str:
        """Return the result as one page that loads nothing from elsewhere, and write it to `path` if one is given.

        Raises:
            ImportError: If jinja2 is missing.
        """
        from keras_nnx.tuning.searches.report import render_search

        text = render_search(self)
        if path is not None:
            Path(path).write_text(text, encoding="utf-8")
        return text


def pareto_front(trials: Sequence[TrialResult], objectives: Sequence[Objective]) -> tuple[TrialResult, ...]:
    """Return the completed trials that none dominates, the best by the first objective first.

    Args:
        trials: Any trials; those that were not completed are left out.
        objectives: What they are judged by.
    """
    points = [
        (tuple(objective.sign * trial.measures[objective.name] for objective in objectives), trial)
        for trial in trials
        if trial.state == COMPLETED and all(objective.name in trial.measures for objective in objectives)
    ]
    front = [
        (point, trial)
        for point, trial in points
        if not any(other != point and all(a >= b for a, b in zip(other, point, strict=True)) for other, _ in points)
    ]
    return tuple(trial for _, trial in sorted(front, key=lambda entry: entry[0], reverse=True))
