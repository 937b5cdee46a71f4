"""Parallel coordinates: a line for each trial, across an axis for each range and each measure."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from functools import partial

from keras_nnx.tuning.searches._axes import Axis, axis_of, number_axis
from keras_nnx.tuning.searches._numbers import tick
from keras_nnx.tuning.searches._summary import TRAINED, Summary, describe
from keras_nnx.tuning.searches._svg import Element, add, cut, drawing, in_lines, write
from keras_nnx.tuning.searches.result import TrialResult

_WIDTH, _NARROWEST, _WIDEST = 1040.0, 80.0, 150.0
_TOP, _BOTTOM, _UNUSED, _HEIGHT = 86.0, 360.0, 390.0, 406.0


@dataclasses.dataclass(frozen=True)
class _Column:
    name: str
    x: float
    axis: Axis
    measured: bool
    gaps: bool

    def point(self, trial: TrialResult) -> tuple[float, float] | None:
        """Return where the line of a trial meets it; None if it has no value here."""
        values = trial.measures if self.measured else trial.values
        share = self.axis.position(values[self.name]) if self.name in values else None
        if share is not None:
            return self.x, _BOTTOM - share * (_BOTTOM - _TOP)
        return (self.x, _UNUSED) if self.gaps else None


def parallel_svg(summary: Summary) -> str:
    """Return the drawing; `""` if there are no trials."""
    columns = _columns(summary)
    if not columns:
        return ""
    width = _step(len(columns)) * len(columns)
    top = _TOP - 16 - 13 * max(len(in_lines(column.name)) for column in columns)
    height = (_HEIGHT if any(column.gaps for column in columns) else _BOTTOM + 12) - top
    style = f"width: {width:.0f}px; height: {height:.0f}px"
    root = drawing(width, height, "Parallel coordinates of all trials", top, class_="parallel", style=style)
    lines = add(root, "g", class_="trials")
    for trial in sorted(summary.result.trials, key=lambda trial: _layer(summary, trial)):
        _draw_trial(lines, trial, columns, summary)
    for column in columns:
        _draw_axis(root, column, summary)
    return write(root)


def _step(count: int) -> float:
    return min(max(_WIDTH / count, _NARROWEST), _WIDEST)


def _columns(summary: Summary) -> list[_Column]:
    trials = summary.result.trials
    found: list[tuple[str, Axis, bool, bool]] = []
    for name in summary.ranges:
        values = [trial.values[name] for trial in trials if name in trial.values]
        log = True if name in summary.result.logarithmic else None
        found.append((name, axis_of(values, log=log), False, any(name not in trial.values for trial in trials)))
    for name in summary.names:
        numbers = [trial.measures[name] for trial in trials if name in trial.measures]
        objective = summary.objective(name)
        flipped = objective is not None and objective.direction == "min"
        if numbers:
            found.append((name, number_axis(numbers, partial(tick, name), flipped=flipped), True, False))
    step = _step(len(found) or 1)
    return [
        _Column(name, (index + 0.5) * step, axis, measured, gaps)
        for index, (name, axis, measured, gaps) in enumerate(found)
    ]


def _layer(summary: Summary, trial: TrialResult) -> tuple[bool, int]:
    """Return what puts the better lines above the others."""
    return trial.id in summary.front_ids, summary.colours.get(trial.id, -1)


def _draw_trial(parent: Element, trial: TrialResult, columns: list[_Column], summary: Summary) -> None:
    track = "".join(_curves(trial, columns))
    if not track:
        return
    colour = summary.colours.get(trial.id)
    kinds = ["line", "untrained" if colour is None else f"c{colour}"]
    kinds += [trial.state] if trial.state != TRAINED[0] else []
    kinds += summary.marks(trial)
    group = add(parent, "g", class_="trial", data_trial=trial.id)
    add(group, "title", describe(trial, values=True))
    add(group, "path", class_="reach", d=track)
    add(group, "path", class_=" ".join(kinds), d=track)


def _curves(trial: TrialResult, columns: list[_Column]) -> Iterator[str]:
    last: tuple[float, float] | None = None
    for column in columns:
        point = column.point(trial)
        if point is None:
            last = None
            continue
        x, y = point
        if last is None:
            yield f"M{x:.1f},{y:.1f}"
        else:
            middle = (last[0] + x) / 2
            yield f"C{middle:.1f},{last[1]:.1f} {middle:.1f},{y:.1f} {x:.1f},{y:.1f}"
        last = point


def _draw_axis(root: Element, column: _Column, summary: Summary) -> None:
    kind = "axis goal" if summary.objective(column.name) else "axis"
    group = add(root, "g", class_=kind)
    add(group, "title", column.name)
    words = in_lines(column.name)
    for index, line in enumerate(words):
        y = _TOP - 14 - 13 * (len(words) - 1 - index)
        add(group, "text", line, class_="name", x=column.x, y=y, text_anchor="middle")
    add(group, "line", x1=column.x, x2=column.x, y1=_TOP, y2=_BOTTOM)
    for share, text in column.axis.ticks:
        y = _BOTTOM - share * (_BOTTOM - _TOP)
        add(group, "line", x1=column.x - 3, x2=column.x + 3, y1=y, y2=y)
        add(group, "text", cut(text, 14), x=column.x + 6, y=y + 3.5)
    if column.gaps:
        add(group, "circle", class_="unused", cx=column.x, cy=_UNUSED, r=3)
        add(group, "text", "not used", x=column.x + 6, y=_UNUSED + 3.5)
    _draw_bounds(group, column, summary)


def _draw_bounds(group: Element, column: _Column, summary: Summary) -> None:
    for constraint in summary.result.constraints:
        share = column.axis.position(constraint.bound)
        if (
            column.measured
            and constraint.name == column.name
            and share is not None
            and column.axis.holds(constraint.bound)
        ):
            y = _BOTTOM - share * (_BOTTOM - _TOP)
            mark = add(group, "line", class_="bound", x1=column.x - 14, x2=column.x + 14, y1=y, y2=y)
            add(mark, "title", str(constraint))
