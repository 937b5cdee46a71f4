"""What trials are judged by: metrics of the training, and measures of the artifact."""

from __future__ import annotations

import dataclasses
import difflib
import math
import re
from collections.abc import Sequence

RUNTIMES = ("onnx", "tflite")
MEASURES = ("latency_ms", "size_mb", "memory_mb", "accuracy")
PARAMETERS = "parameters"
_GREATER = ("accuracy", "auc", "precision", "recall", "iou", "f1", "score", "similarity", "r2")
_LESS = ("loss", "error", "crossentropy", "mse", "mae", "mape", "perplexity", "divergence", "hinge")
_ARTIFACT = re.compile(rf"(?:({'|'.join(RUNTIMES)})_)?(int8_)?({'|'.join(MEASURES)})")
_CONSTRAINT = re.compile(r"\s*([^<>=\s]+)\s*(<=|>=|<|>)\s*([^<>=\s]+)\s*")


@dataclasses.dataclass(frozen=True)
class Quantity:
    """Something that a trial is measured by.

    Args:
        name: As tables show it.
        kind: `"metric"` of the training, `"parameters"`, or `"artifact"`.
        runtime: Of an artifact, `"onnx"` or `"tflite"`; None for the one that is searched for.
        precision: Of an artifact, `"float32"` or `"int8"`.
        measure: Of an artifact, one of `MEASURES`.
    """

    name: str
    kind: str
    runtime: str | None = None
    precision: str = "float32"
    measure: str = ""

    def meant(self, target: str) -> tuple[str, ...]:
        """Return what two names have in common that mean the same.

        Args:
            target: The runtime that is meant where none is named.
        """
        if self.kind != "artifact":
            return (self.kind, self.name)
        return (self.kind, self.runtime or target, self.precision, self.measure)

    @property
    def before_training(self) -> bool:
        """Whether an untrained model tells it as well."""
        return self.kind == PARAMETERS or (self.kind == "artifact" and self.measure != "accuracy")


@dataclasses.dataclass(frozen=True)
class Objective:
    """What is to be as great, or as small, as can be.

    Args:
        quantity: What is measured.
        direction: `"max"` or `"min"`.

    Example:
        >>> from keras_nnx.tuning.searches.objectives import parse_objective
        >>> parse_objective("tflite_int8_latency_ms").direction
        'min'
    """

    quantity: Quantity
    direction: str

    @property
    def name(self) -> str:
        """As tables show it."""
        return self.quantity.name

    @property
    def sign(self) -> int:
        """What makes the better value the greater one."""
        return 1 if self.direction == "max" else -1


@dataclasses.dataclass(frozen=True)
class Constraint:
    """What has to hold for a trial to count.

    Args:
        quantity: What is measured.
        operator: `"<="`, `"<"`, `">="` or `">"`.
        bound: The number on the right.
    """

    quantity: Quantity
    operator: str
    bound: float

    @property
    def name(self) -> str:
        """Of the quantity."""
        return self.quantity.name

    def __str__(self) -> str:
        return f"{self.name}{self.operator}{repr(self.bound).removesuffix('.0')}"

    def allows(self, value: float) -> bool:
        """Return whether a value keeps it."""
        if self.operator.startswith("<"):
            return value < self.bound or (self.operator == "<=" and value == self.bound)
        return value > self.bound or (self.operator == ">=" and value == self.bound)


def known_names(metrics: Sequence[str]) -> list[str]:
    """Return what objectives and constraints may be about.

    Args:
        metrics: The names of the loss and the metrics that a model is compiled with.
    """
    measured = [f"{precision}{measure}" for precision in ("", "int8_") for measure in MEASURES]
    trained = [f"{prefix}{name}" for prefix in ("val_", "") for name in metrics]
    return list(dict.fromkeys([*trained, PARAMETERS, *measured]))


def parse_quantity(name: str, metrics: Sequence[str] | None) -> Quantity:
    """Return what a name stands for.

    Args:
        name: Such as `"val_accuracy"`, `"parameters"`, `"latency_ms"`, `"tflite_int8_size_mb"`.
        metrics: The metrics that there are; None to take any name for one.

    Raises:
        ValueError: If there is no such quantity; those that there are are listed.
    """
    if name == PARAMETERS:
        return Quantity(name, PARAMETERS)
    found = _ARTIFACT.fullmatch(name)
    if found is not None:
        runtime, int8, measure = found.groups()
        return Quantity(name, "artifact", runtime, "int8" if int8 else "float32", measure)
    if metrics is not None and name in {f"{prefix}{metric}" for prefix in ("val_", "") for metric in metrics}:
        return Quantity(name, "metric")
    if metrics is None and name.isidentifier():
        return Quantity(name, "metric")
    known = known_names(metrics or ("loss",))
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f" Did you mean {close[0]}?" if close else ""
    raise ValueError(
        f"Trials are not measured by {name!r}.{hint} There are {', '.join(known)}; "
        f"what an artifact is measured by may begin with {' or '.join(f'{runtime}_' for runtime in RUNTIMES)}."
    )


def parse_objective(text: str, metrics: Sequence[str] | None = None) -> Objective:
    """Return what a text such as `"val_accuracy"` or `"min:val_mystery"` asks for.

    Args:
        text: A name, after `max:` or `min:` where its direction is not known.
        metrics: The metrics that there are; None to take any name for one.

    Raises:
        ValueError: If there is no such quantity, or its direction is not known.
    """
    given, _, name = text.rpartition(":")
    quantity = parse_quantity(name.strip(), metrics)
    if given and given not in ("max", "min"):
        raise ValueError(f"{text!r} is no objective: write max:{name} or min:{name}.")
    direction = given or _direction(quantity)
    if direction is None:
        raise ValueError(f"Whether {name!r} should be great or small is not known: write max:{name} or min:{name}.")
    return Objective(quantity, direction)


def parse_constraint(text: str, metrics: Sequence[str] | None = None) -> Constraint:
    """Return what a text such as `"latency_ms<=2"` asks for.

    Args:
        text: A name, `<=`, `<`, `>=` or `>`, and a number.
        metrics: The metrics that there are; None to take any name for one.

    Raises:
        ValueError: If it cannot be read, there is no such quantity, or no value could keep it.
    """
    found = _CONSTRAINT.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no constraint: write a name, <= or >=, and a number, such as latency_ms<=2.")
    name, operator, number = found.groups()
    try:
        bound = float(number)
    except ValueError:
        bound = math.nan
    if not math.isfinite(bound):
        raise ValueError(f"The constraint {text!r} ends in {number!r}: write a number, such as {name}{operator}2.")
    constraint = Constraint(parse_quantity(name, metrics), operator, bound)
    _check_possible(constraint)
    return constraint


def check_objectives(objectives: Sequence[Objective], target: str = RUNTIMES[0]) -> None:
    """Raise unless there are objectives, each about something else.

    Args:
        objectives: Of a search.
        target: The runtime that is meant where none is named.

    Raises:
        ValueError: If there is none, or two are about the same.
    """
    if not objectives:
        raise ValueError("A search needs an objective, such as val_accuracy.")
    by_meaning: dict[tuple[str, ...], str] = {}
    for objective in objectives:
        other = by_meaning.setdefault(objective.quantity.meant(target), objective.name)
        if other != objective.name:
            raise ValueError(f"The objectives {other} and {objective.name} are the same: leave one of them out.")
    if len(by_meaning) < len(objectives):
        names = [objective.name for objective in objectives]
        raise ValueError(f"The objective {max(names, key=names.count)} is given more than once.")


def check_constraints(constraints: Sequence[Constraint], target: str = RUNTIMES[0]) -> None:
    """Raise unless some value keeps all constraints.

    Args:
        constraints: Of a search.
        target: The runtime that is meant where none is named.

    Raises:
        ValueError: If two of them contradict each other; they are named.
    """
    for upper in (entry for entry in constraints if entry.operator.startswith("<")):
        same = [entry for entry in constraints if entry.quantity.meant(target) == upper.quantity.meant(target)]
        for lower in (entry for entry in same if entry.operator.startswith(">")):
            strict = len(upper.operator) == 1 or len(lower.operator) == 1
            if lower.bound > upper.bound or (strict and lower.bound == upper.bound):
                raise ValueError(f"The constraints {lower} and {upper} contradict each other: no model can keep both.")


def _direction(quantity: Quantity) -> str | None:
    name = quantity.name.lower()
    if quantity.kind != "metric":
        return "max" if quantity.measure == "accuracy" else "min"
    if any(word in name for word in _LESS):
        return "min"
    return "max" if any(word in name for word in _GREATER) else None


def _check_possible(constraint: Constraint) -> None:
    quantity, share = constraint.quantity, constraint.name.endswith("accuracy")
    never_negative = share or quantity.kind != "metric"
    upper, strict = constraint.operator.startswith("<"), len(constraint.operator) == 1
    if never_negative and upper and (constraint.bound < 0 or (constraint.bound == 0 and (strict or not share))):
        raise ValueError(f"No model can keep {constraint}: {constraint.name} is over 0.")
    if share and not upper and constraint.bound == 1 and strict:
        raise ValueError(f"No model can keep {constraint}: an accuracy is a share of 0 to 1.")
    if share and not upper and constraint.bound > 1:
        raise ValueError(
            f"No model can keep {constraint}: an accuracy is a share of 0 to 1; write {constraint.bound / 100:g} for "
            f"{constraint.bound:g}%."
        )
