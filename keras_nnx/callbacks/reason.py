"""Why a training ended, in a form that a program can read."""

from __future__ import annotations

import dataclasses
import enum
from typing import Any


class StopKind(enum.StrEnum):
    """What ended a training."""

    COMPLETED = "completed"
    """All epochs were done."""
    NO_IMPROVEMENT = "no_improvement"
    """Nothing monitored got better for as long as the patience allows."""
    THRESHOLD = "threshold"
    """A monitored value reached its threshold."""
    NON_FINITE = "non_finite"
    """A monitored value, or the loss, was infinite or not a number."""
    DIVERGED = "diverged"
    """A monitored value became much worse than it had been."""
    TIME_BUDGET = "time_budget"
    """The time was used up."""
    STOPPED = "stopped"
    """Another callback stopped it."""
    INTERRUPTED = "interrupted"
    """The user, or the system, interrupted it."""
    FAILED = "failed"
    """An exception ended it."""


@dataclasses.dataclass(frozen=True)
class StopReason:
    """Why a training ended.

    Args:
        kind: What ended it.
        epoch: The epoch in which it did, counted from 0.
        monitor: The name of the value that decided, if one did.
        value: That value.
        best: The best value of the first monitored name.
        best_epoch: The epoch that had it.
        restored_epoch: The epoch whose weights the model has now; None if they are those of the last step.
        error: The class of the exception, if one ended it.
    """

    kind: StopKind
    epoch: int
    monitor: str | None = None
    value: float | None = None
    best: float | None = None
    best_epoch: int | None = None
    restored_epoch: int | None = None
    error: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the reason in types that JSON knows."""
        return {**dataclasses.asdict(self), "kind": str(self.kind)}

    def __str__(self) -> str:
        parts = [f"{str(self.kind).replace('_', ' ')} in epoch {self.epoch + 1}"]
        if self.monitor is not None:
            parts.append(f"{self.monitor}={self.value:.6g}")
        if self.error is not None:
            parts.append(self.error)
        if self.restored_epoch is not None:
            parts.append(f"weights of epoch {self.restored_epoch + 1} restored")
        return ", ".join(parts)
