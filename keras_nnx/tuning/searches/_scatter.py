"""Plots of two measures, of progress, and of learning curves."""

from __future__ import annotations

import dataclasses
import math
from functools import partial
from itertools import pairwise

from keras_nnx.tuning.searches._axes import number_axis
from keras_nnx.tuning.searches._numbers import number, tick
from keras_nnx.tuning.searches._summary import Summary, describe, wish
from keras_nnx.tuning.searches._svg import Frame, add, cut, path, write
from keras_nnx.tuning.searches.objectives import Constraint, Objective
from keras_nnx.tuning.searches.result import COMPLETED, TrialResult, pareto_front

_POINTS = 150
_LABELLED = 10


@dataclasses.dataclass(frozen=True)
class Plot:
    """One drawing.

    Args:
        svg: Its text.
        beyond: Constraints whose bounds lie outside it.
    """

    svg: str
    beyond: tuple[str, ...] = ()


def objective_plots(summary: Summary) -> list[Plot]:
    """Return the first objective against each other one; if it is alone, against what is constrained, or over time."""
    if not summary.result.objectives:
        return []
    first, *others = summary.result.objectives
    names = [objective.name for objective in others] or [name for name in summary.names if name != first.name][:1]
    found = [_against(summary, first, name) for name in names] if names else [_progress(summary, first)]
    return [plot for plot in found if plot is not None]


def curves_plot(summary: Summary) -> tuple[str, Plot] | None:
    """Return the first objective that was measured at each epoch, and its learning curves; None if there is none."""
    for objective in summary.result.objectives:
        curves = {trial.id: thin(trial.curves.get(objective.name, [])) for trial in summary.result.trials}
        heights = [value for curve in curves.values() for _, value in curve if value is not None]
        if heights:
            return objective.name, _curves(summary, objective, curves, heights)
    return None


def thin(curve: list[float]) -> list[tuple[int, float | None]]:
    """Return epochs from 1 and values, None for one that is no number; of a long curve, some, and the last."""
    points = [(epoch, number(value)) for epoch, value in enumerate(curve, 1)]
    every = math.ceil(len(points) / _POINTS) or 1
    return points if every == 1 else [*points[:-1:every], points[-1]]


def _curves(
    summary: Summary, objective: Objective, curves: dict[str, list[tuple[int, float | None]]], heights: list[float]
) -> Plot:
    name = objective.name
    epochs = [float(epoch) for curve in curves.values() for epoch, _ in curve]
    across, up = number_axis(epochs, padding=0.02, log=False), number_axis(heights, partial(tick, name), padding=0.04)
    across = dataclasses.replace(across, ticks=tuple(entry for entry in across.ticks if entry[1].isdigit()))
    frame = Frame(across, up, "epoch", wish(objective, name), f"{name} by epoch")
    for trial in sorted(summary.result.trials, key=lambda trial: trial.id in summary.front_ids):
        points = [frame.place(epoch, value) for epoch, value in curves[trial.id]]
        seen = [point for point in points if point is not None]
        if not seen:
            continue
        kind = " ".join(["curve", *summary.marks(trial)])
        group = add(frame.root, "g", class_="trial", data_trial=trial.id)
        add(group, "title", describe(trial))
        add(group, "path", class_="reach", d=path(points))
        add(group, "path", class_=f"line {kind}", d=path(points))
        if len(seen) == 1:
            add(group, "circle", class_=f"point {kind}", cx=seen[0][0], cy=seen[0][1], r=3)
    return Plot(write(frame.root))


def _against(summary: Summary, first: Objective, name: str) -> Plot | None:
    trials = [trial for trial in summary.result.trials if {first.name, name} <= trial.measures.keys()]
    if not trials:
        return None
    bounds = [bound for bound in summary.result.constraints if bound.name in (first.name, name)]
    x, y = (_values(trials, bounds, axis) for axis in (name, first.name))
    other = summary.objective(name)
    frame = Frame(
        number_axis(x, partial(tick, name), padding=0.06),
        number_axis(y, partial(tick, first.name), padding=0.06),
        wish(other, name),
        wish(first, first.name),
        f"{first.name} against {name}",
    )
    beyond = [bound for bound in bounds if not frame.bound(bound.bound, bound.name == name, str(bound))]
    if other is not None:
        _draw_front(frame, trials, (first, other))
    _draw_points(frame, trials, summary, name)
    return Plot(write(frame.root), tuple(str(bound) for bound in beyond))


def _values(trials: list[TrialResult], bounds: list[Constraint], name: str) -> list[float]:
    """Return what an axis has to hold: all measures, and the bounds that are not so far off as to squeeze them."""
    values = [trial.measures[name] for trial in trials]
    for bound in (bound.bound for bound in bounds if bound.name == name):
        span = max(values) - min(values)
        if number(bound) is not None and (not span or max(*values, bound) - min(*values, bound) <= 2 * span):
            values.append(bound)
    return values


def _draw_front(frame: Frame, trials: list[TrialResult], pair: tuple[Objective, Objective]) -> None:
    """Draw the border of what the completed trials reach, from the best in the second objective on."""
    first, other = pair
    front = pareto_front([trial for trial in trials if trial.state == COMPLETED], pair)
    ordered = sorted(front, key=lambda trial: (-other.sign * trial.measures[other.name], trial.id))
    points = [frame.place(trial.measures[other.name], trial.measures[first.name]) for trial in ordered]
    if len(points) > 1:
        add(frame.root, "path", class_="step", d=_steps([point for point in points if point is not None]))


def _steps(points: list[tuple[float, float]]) -> str:
    corners = [corner for before, after in pairwise(points) for corner in ((after[0], before[1]), after)]
    return path([*points[:1], *corners])


def _draw_points(frame: Frame, trials: list[TrialResult], summary: Summary, name: str | None) -> None:
    """Draw a point for each trial, the front above the others; `name` is None if they lie in the order of trials."""
    order = _order(summary)
    labels: list[tuple[str, float, float]] = []
    for trial in sorted(trials, key=lambda trial: trial.id in summary.front_ids):
        value = order[trial.id] if name is None else trial.measures[name]
        point = frame.place(value, trial.measures[summary.result.objectives[0].name])
        if point is None:
            continue
        front = trial.id in summary.front_ids
        kind = "front" if front else "plain" if trial.state == COMPLETED else "hollow"
        group = add(frame.root, "g", class_="trial", data_trial=trial.id)
        add(group, "title", describe(trial))
        add(group, "circle", class_=f"point {kind}", cx=point[0], cy=point[1], r=5.5 if front else 4)
        if front:
            labels.append((trial.id, *point))
    _draw_labels(frame, labels)


def _draw_labels(frame: Frame, labels: list[tuple[str, float, float]]) -> None:
    """Write beside points as many of their names as find a place."""
    placed: list[tuple[float, float]] = []
    for text, x, y in labels:
        if len(placed) < _LABELLED and all(abs(x - right) > 34 or abs(y - down) > 14 for right, down in placed):
            placed.append((x, y))
            left = x > 100
            anchor = "end" if left else "start"
            add(
                frame.root,
                "text",
                cut(text, 8),
                class_="label",
                x=x - 8 if left else x + 8,
                y=y - 8,
                text_anchor=anchor,
            )


def _order(summary: Summary) -> dict[str, float]:
    """Return where trials lie on an axis: at their numbers."""
    return {
        trial.id: float(int(trial.id) if trial.id.isdecimal() else index)
        for index, trial in enumerate(summary.result.trials)
    }


def _progress(summary: Summary, first: Objective) -> Plot | None:
    trials = [trial for trial in summary.result.trials if first.name in trial.measures]
    if not trials:
        return None
    order = _order(summary)
    bounds = [bound for bound in summary.result.constraints if bound.name == first.name]
    across = number_axis([order[trial.id] for trial in trials], padding=0.04, log=False)
    across = dataclasses.replace(across, ticks=tuple(entry for entry in across.ticks if entry[1].isdigit()))
    up = number_axis(_values(trials, bounds, first.name), partial(tick, first.name), padding=0.06)
    frame = Frame(across, up, "trial; the line is the best so far", wish(first, first.name), "Progress")
    beyond = [bound for bound in bounds if not frame.bound(bound.bound, False, str(bound))]
    best: list[tuple[float, float]] = []
    for trial in (trial for trial in trials if trial.state == COMPLETED):
        value = trial.measures[first.name]
        if not best or first.sign * value > first.sign * best[-1][1]:
            best.append((order[trial.id], value))
    if best:
        best.append((order[trials[-1].id], best[-1][1]))
        add(frame.root, "path", class_="step", d=_steps([point for at in best if (point := frame.place(*at))]))
    _draw_points(frame, trials, summary, None)
    return Plot(write(frame.root), tuple(str(bound) for bound in beyond))
