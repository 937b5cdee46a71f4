"""The page that shows a search."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable
from typing import Any

from keras_nnx._html import render
from keras_nnx.tuning.searches._numbers import duration, measure, short
from keras_nnx.tuning.searches._parallel import parallel_svg
from keras_nnx.tuning.searches._scatter import curves_plot, objective_plots
from keras_nnx.tuning.searches._summary import COLOURS, TRAINED, Summary, describe, summarize
from keras_nnx.tuning.searches._svg import clean
from keras_nnx.tuning.searches.result import COMPLETED, INFEASIBLE, STATES, SearchResult, TrialResult

__all__ = ["render_search"]

_COLUMNS = 4
_OTHERS = 8
_LONG = 200


def render_search(result: SearchResult) -> str:
    """Return a search as one page that loads nothing from elsewhere.

    Args:
        result: At any time of the search.

    Raises:
        ImportError: If jinja2 is missing.
    """
    summary = summarize(result)
    counts = Counter(trial.state for trial in result.trials)
    shown = _shown(summary)
    text = render(
        "search.html.jinja",
        space=short(result.configuration.get("space") or "Search"),
        data=short(result.configuration.get("data") or ""),
        counts={state: counts[state] for state in [*STATES, *sorted(counts.keys() - STATES.keys())] if counts[state]},
        states=STATES,
        facts=_facts(summary),
        best=_best(summary),
        parallel=parallel_svg(summary),
        colours=COLOURS,
        plots=objective_plots(summary),
        curves=curves_plot(summary),
        shown=shown,
        rows=[_row(trial, summary, shown) for trial in summary.result.trials],
        objectives=[objective.name for objective in result.objectives],
        hollow=any(trial.state != COMPLETED and trial.measures for trial in summary.result.trials),
        broken=any(trial.state == INFEASIBLE for trial in result.trials),
        untrained=any(trial.state not in TRAINED for trial in result.trials),
        wanted=_wanted(result),
        environment={name: short(value) for name, value in result.environment.items()},
    )
    return clean(text)


def _facts(summary: Summary) -> dict[str, str]:
    """Return the numbers at the top: of each objective the best of all completed trials."""
    result, configuration = summary.result, summary.result.configuration
    facts = {}
    for objective in result.objectives:
        name, completed = objective.name, (trial for trial in result.trials if trial.state == COMPLETED)
        values = [trial.measures[objective.name] for trial in completed if objective.name in trial.measures]
        facts[f"Best {name}"] = measure(name, max(values, key=lambda v: objective.sign * v)) if values else "\u2013"
    budget = configuration.get("trials")
    done = sum(trial.state != "running" for trial in result.trials)
    facts["Trials"] = f"{done} of {budget}" if isinstance(budget, int) else str(done)
    facts["Time"] = duration(result.seconds)
    return facts | {name.title(): short(configuration[name]) for name in ("seed", "oracle") if name in configuration}


def _best(summary: Summary) -> dict[str, Any] | None:
    trial, result = summary.best, summary.result
    if trial is None:
        return None
    folder = result.directory / "best"
    kept = {
        str(constraint): measure(constraint.name, trial.measures[constraint.name])
        for constraint in result.constraints
        if constraint.name in trial.measures and constraint.allows(trial.measures[constraint.name])
    }
    return {
        "trial": trial,
        "values": {name: short(value) for name, value in trial.values.items()},
        "measures": {name: measure(name, value) for name, value in trial.measures.items()},
        "kept": kept,
        "unknown": [str(constraint) for constraint in result.constraints if str(constraint) not in kept],
        "folder": f"{folder}/",
        "command": f"keras-nnx verify {shlex.quote(str(folder / 'float32'))}",
        "afresh": {name: measure(name, value) for name, value in result.afresh.get("measures", {}).items()},
        "notes": result.afresh.get("notes", []),
        "others": [other.id for other in summary.front[1 : _OTHERS + 1]],
        "more": max(0, len(summary.front) - 1 - _OTHERS),
    }


def _shown(summary: Summary) -> list[str]:
    """Return the measures that have a column of their own."""
    measured = (name for trial in summary.result.trials for name in trial.measures)
    return list(dict.fromkeys([*summary.names, *measured]))[: max(_COLUMNS, len(summary.result.objectives))]


def _row(trial: TrialResult, summary: Summary, shown: list[str]) -> dict[str, Any]:
    names = _short_names(summary.ranges)
    reason = trial.reason.strip()
    first = reason.splitlines()[0] if reason else ""
    return {
        "trial": trial,
        "front": trial.id in summary.front_ids,
        "best": summary.best is not None and trial.id == summary.best.id,
        "title": describe(trial),
        "cells": [
            (
                name,
                trial.measures.get(name),
                measure(name, trial.measures[name], False) if name in trial.measures else "",
            )
            for name in shown
        ],
        "values": [(names[name], short(value), name) for name, value in trial.values.items()],
        "others": {name: measure(name, value) for name, value in trial.measures.items() if name not in shown},
        "seconds": duration(trial.seconds),
        "folder": f"trials/{trial.artifact}" if trial.artifact else "",
        "reason": reason,
        "head": f"{first[:_LONG].rstrip()}\u2026" if reason != first or len(first) > _LONG else "",
    }


def _short_names(names: Iterable[str]) -> dict[str, str]:
    """Return names without what stands before the last `/`, where no two become the same."""
    given = list(names)
    count = Counter(name.rpartition("/")[2] for name in given)
    return {name: name.rpartition("/")[2] if count[name.rpartition("/")[2]] == 1 else name for name in given}


def _wanted(result: SearchResult) -> dict[str, str]:
    """Return what was asked for, objectives and constraints as they are written."""
    objectives = ", ".join(f"{objective.direction}:{objective.name}" for objective in result.objectives)
    constraints = ", ".join(str(constraint) for constraint in result.constraints) or "none"
    given = {name: short(value) for name, value in result.configuration.items()}
    return {**given, "objectives": objectives, "constraints": constraints}
