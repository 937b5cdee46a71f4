"""What drawings and tables of a search share: measured names, the front as far as it is known, colours, words."""

from __future__ import annotations

import bisect
import dataclasses

from keras_nnx.tuning.searches._numbers import finite, measure, short
from keras_nnx.tuning.searches.objectives import Objective
from keras_nnx.tuning.searches.result import COMPLETED, INFEASIBLE, SearchResult, TrialResult, pareto_front

COLOURS = 7
TRAINED = (COMPLETED, INFEASIBLE)


@dataclasses.dataclass(frozen=True)
class Summary:
    """A result, and what follows from it.

    Args:
        result: Its measures are numbers, all of them.
        front: As in the result, of trials of which all objectives were measured.
        names: Of the objectives, then of what is constrained.
        ranges: The names of all values that were chosen.
        colours: From 0, the worst, to `COLOURS` - 1, by the id of trials of which the first objective was measured.
    """

    result: SearchResult
    front: tuple[TrialResult, ...]
    names: tuple[str, ...]
    ranges: tuple[str, ...]
    colours: dict[str, int]

    @property
    def best(self) -> TrialResult | None:
        """The first of the front; None if there is none."""
        return next(iter(self.front), None)

    @property
    def front_ids(self) -> frozenset[str]:
        """Whom no other trial dominates."""
        return frozenset(trial.id for trial in self.front)

    def marks(self, trial: TrialResult) -> list[str]:
        """Return what a trial is beyond its state: of the front, the best."""
        best = self.best is not None and trial.id == self.best.id
        return (["front"] if trial.id in self.front_ids else []) + (["best"] if best else [])

    def objective(self, name: str) -> Objective | None:
        """Return the objective of a name; None if it is not aimed at."""
        return next((objective for objective in self.result.objectives if objective.name == name), None)


def summarize(result: SearchResult) -> Summary:
    """Return what follows from a result; a measure that is no number counts as not measured."""
    trials = tuple(dataclasses.replace(trial, measures=finite(trial.measures)) for trial in result.trials)
    objectives = [objective.name for objective in result.objectives]
    judged = [trial for trial in trials if all(name in trial.measures for name in objectives)]
    return Summary(
        dataclasses.replace(result, trials=trials),
        pareto_front(judged, result.objectives) if objectives else (),
        tuple(dict.fromkeys([*objectives, *(constraint.name for constraint in result.constraints)])),
        tuple(dict.fromkeys(name for trial in trials for name in trial.values)),
        _colours(trials, result.objectives[:1]),
    )


def describe(trial: TrialResult, values: bool = False) -> str:
    """Return a trial in lines: what it is, what was measured, and, if asked for, what was chosen."""
    measured = [f"{name}: {measure(name, value)}" for name, value in trial.measures.items()]
    chosen = [f"{name} = {short(value)}" for name, value in trial.values.items()] if values else []
    return "\n".join([f"trial {trial.id}, {trial.state}", *measured, *chosen])


def wish(objective: Objective | None, name: str) -> str:
    """Return a name and where its better values are."""
    if objective is None:
        return name
    return f"{name} ({'more' if objective.direction == 'max' else 'less'} is better)"


def _colours(trials: tuple[TrialResult, ...], first: tuple[Objective, ...]) -> dict[str, int]:
    """Colour by rank: one outlier would leave all others in the same colour."""
    scores = {
        trial.id: objective.sign * trial.measures[objective.name]
        for objective in first
        for trial in trials
        if trial.state in TRAINED and objective.name in trial.measures
    }
    ranks = sorted(set(scores.values()))
    last = len(ranks) - 1
    return {
        name: round(bisect.bisect_left(ranks, score) / last * (COLOURS - 1)) if last else COLOURS - 1
        for name, score in scores.items()
    }
