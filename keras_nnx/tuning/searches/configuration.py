"""What a search is asked to do."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from keras_nnx.tuning.searches.objectives import (
    RUNTIMES,
    Constraint,
    Objective,
    Quantity,
    check_constraints,
    check_objectives,
    parse_constraint,
    parse_objective,
)

SPACE_NAMES = ("vit", "resnet", "convnext", "blocks")
ORACLE_NAMES = ("random", "bayesian", "hyperband", "grid", "tpe", "nsga2")
_CHANGEABLE = ("trials",)


@dataclasses.dataclass(frozen=True)
class Configuration:
    """What decides what the trials are and how they are judged.

    Args:
        space: The name of the space.
        data: The name of the data.
        objectives: As they are written, the first of which decides which of the front is called best.
        constraints: As they are written.
        oracle: One of `ORACLE_NAMES`.
        trials: How many.
        epochs: Of each, at most.
        patience: Epochs without a better first objective, or validation loss, after which a trial stops.
        seed: The same gives the same trials.
        target: The runtime that artifacts are measured in: `"onnx"` or `"tflite"`.

    Raises:
        ValueError: If something has no meaning.
    """

    space: str
    data: str
    objectives: tuple[str, ...] = ("val_accuracy",)
    constraints: tuple[str, ...] = ()
    oracle: str = "random"
    trials: int = 20
    epochs: int = 40
    patience: int = 10
    seed: int = 0
    target: str = "onnx"

    def __post_init__(self) -> None:
        for name, known in (("oracle", ORACLE_NAMES), ("target", RUNTIMES)):
            if getattr(self, name) not in known:
                raise ValueError(f"{name}={getattr(self, name)!r} is unknown: choose one of {', '.join(known)}.")
        for name in ("trials", "epochs", "patience"):
            if (
                isinstance(getattr(self, name), bool)
                or not isinstance(getattr(self, name), int)
                or getattr(self, name) < 1
            ):
                raise ValueError(f"{name}={getattr(self, name)!r} has to be a number of at least 1.")
        if not 0 <= self.seed < 2**31:
            raise ValueError(f"seed={self.seed!r} has to be at least 0, and under 2 to the power of 31.")

    def parsed(self, metrics: Sequence[str] | None = None) -> tuple[tuple[Objective, ...], tuple[Constraint, ...]]:
        """Return the objectives and constraints.

        Args:
            metrics: The metrics that the models have; None to take any name for one.

        Raises:
            ValueError: If one is unknown, or they contradict each other.
        """
        objectives = tuple(parse_objective(text, metrics) for text in self.objectives)
        constraints = tuple(parse_constraint(text, metrics) for text in self.constraints)
        check_objectives(objectives, self.target)
        check_constraints(constraints, self.target)
        return objectives, constraints

    def quantities(self, metrics: Sequence[str] | None = None) -> tuple[Quantity, ...]:
        """Return all that has to be measured, each once."""
        objectives, constraints = self.parsed(metrics)
        quantities = [*(entry.quantity for entry in objectives), *(entry.quantity for entry in constraints)]
        return tuple({entry.name: entry for entry in quantities}.values())

    def to_dict(self) -> dict[str, Any]:
        """Return the fields in types that JSON knows."""
        return {
            key: list(value) if isinstance(value, tuple) else value for key, value in dataclasses.asdict(self).items()
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Configuration:
        """Return the configuration that `to_dict` wrote."""
        read: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
        }
        return cls(**read)

    def differences(self, other: Configuration) -> list[str]:
        """Return in what a search that goes on may not differ from its beginning, and does."""
        mine, theirs = self.to_dict(), other.to_dict()
        return [
            f"{name} ({_shown(theirs[name])} before, {_shown(mine[name])} now)"
            for name in mine
            if name not in _CHANGEABLE and mine[name] != theirs[name]
        ]


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) or "none" if isinstance(value, list) else str(value)
