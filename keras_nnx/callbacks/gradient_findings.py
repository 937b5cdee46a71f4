"""What is wrong with gradients, where, and what to do."""

from __future__ import annotations

import dataclasses
import enum
import math
from typing import Any


class GradientWarning(UserWarning):
    """Something in the gradients or activations keeps a layer from learning."""


class FindingKind(enum.StrEnum):
    """What a finding is about."""

    VANISHING = "vanishing"
    EXPLODING = "exploding"
    DEAD = "dead"
    SATURATED = "saturated"


_REMEDIES = {
    FindingKind.VANISHING: "add shortcuts or a normalisation around it, use relu or gelu in place of sigmoid or tanh, "
    "or initialise with 'he_normal'",
    FindingKind.EXPLODING: "clip gradients (global_clipnorm=1.0 in the optimizer), lower the learning rate or warm it "
    "up, and normalise the inputs",
    FindingKind.DEAD: "lower the learning rate, use leaky_relu or gelu, or put a normalisation in front of it",
    FindingKind.SATURATED: "put a normalisation in front of it, or lower its initial weights and the learning rate",
}


@dataclasses.dataclass(frozen=True)
class GradientFinding:
    """One layer that does not learn as it should.

    Args:
        kind: What is wrong.
        layer: The path of the layer.
        step: The step at which it was seen first.
        value: The number that shows it: a norm of the gradient, or a share of units or answers.
        remedy: What may help.
    """

    kind: FindingKind
    layer: str
    step: int
    value: float
    remedy: str

    def to_dict(self) -> dict[str, Any]:
        """Return the finding in types that JSON knows."""
        return {**dataclasses.asdict(self), "kind": str(self.kind)}

    def __str__(self) -> str:
        what = {
            FindingKind.VANISHING: f"gets next to no gradient (norm {self.value:.2g})",
            FindingKind.EXPLODING: f"gets an exploding gradient (norm {self.value:.2g})",
            FindingKind.DEAD: f"has {self.value:.0%} of its units dead",
            FindingKind.SATURATED: f"has {self.value:.0%} of its answers at the ends of their range",
        }[self.kind]
        return f"step {self.step}: layer {self.layer!r} {what}: {self.remedy}."


@dataclasses.dataclass(frozen=True)
class Limits:
    """From where on something is a finding.

    Args:
        vanishing: A gradient's root mean square under this share of that of the layer with the largest.
        exploding: A gradient's norm over this many times that of the weights, or 1 if these are smaller.
        dead: A share of units of a layer that never answer.
        saturated: A share of answers at the ends of their range.
    """

    vanishing: float = 1e-4
    exploding: float = 100.0
    dead: float = 0.5
    saturated: float = 0.5


def judge(record: dict[str, Any], sizes: dict[str, int], limits: Limits) -> list[GradientFinding]:
    """Return what is wrong in a record of norms and shares by layer.

    Args:
        record: What `GradientMonitor` measured at a step.
        sizes: How many weights each layer has.
        limits: From where on something is a finding.
    """
    found = []

    def add(kind: FindingKind, layer: str, value: float) -> None:
        found.append(GradientFinding(kind, layer, record["step"], value, _REMEDIES[kind]))

    means = {layer: norm / math.sqrt(sizes[layer]) for layer, norm in record["gradient"].items()}
    largest = max((mean for mean in means.values() if math.isfinite(mean)), default=0.0)
    for layer, norm in record["gradient"].items():
        if not math.isfinite(norm) or norm > limits.exploding * max(1.0, record["weight"][layer]):
            add(FindingKind.EXPLODING, layer, norm)
        elif largest > 0 and means[layer] < limits.vanishing * largest:
            add(FindingKind.VANISHING, layer, norm)
    for layer, share in record["dead"].items():
        if share >= limits.dead:
            add(FindingKind.DEAD, layer, share)
    for layer, share in record["saturated"].items():
        if share >= limits.saturated:
            add(FindingKind.SATURATED, layer, share)
    return found
