"""What goes wrong in adversarial training, and what to do."""

from __future__ import annotations

import dataclasses
import enum
from typing import Any


class GANWarning(UserWarning):
    """Something keeps a GAN from learning."""


class GANFindingKind(enum.StrEnum):
    """What a finding is about."""

    NOT_FINITE = "not finite"
    DIVERGING = "diverging"
    COLLAPSED = "collapsed"
    OVERPOWERED = "overpowered"


REMEDIES = {
    GANFindingKind.NOT_FINITE: "lower both learning rates, add R1 or GradientPenalty, or clip gradients "
    "(global_clipnorm=1.0 in the optimizers)",
    GANFindingKind.DIVERGING: "add R1 (and R2), a spectral normalisation in the discriminator, or lower its "
    "learning rate",
    GANFindingKind.COLLAPSED: "use RelativisticGANLoss with R1 and R2, MinibatchStandardDeviation in the "
    "discriminator, or a lower learning rate",
    GANFindingKind.OVERPOWERED: "raise R1, add DifferentiableAugmentation, or make the discriminator smaller",
}


@dataclasses.dataclass(frozen=True)
class GANFinding:
    """One thing that went wrong.

    Args:
        kind: What.
        epoch: The epoch at whose end it was seen first, from 1.
        value: The number that shows it.
        remedy: What may help.
    """

    kind: GANFindingKind
    epoch: int
    value: float
    remedy: str

    def to_dict(self) -> dict[str, Any]:
        """Return the finding in types that JSON knows."""
        return {**dataclasses.asdict(self), "kind": str(self.kind)}

    def __str__(self) -> str:
        what = {
            GANFindingKind.NOT_FINITE: "a loss is not finite any more",
            GANFindingKind.DIVERGING: f"scores of real and generated images are {self.value:.3g} apart, and further "
            "each epoch",
            GANFindingKind.COLLAPSED: f"what is generated has {self.value:.0%} of the variety of real images",
            GANFindingKind.OVERPOWERED: f"the discriminator tells {self.value:.0%} of the images right, and the "
            "generator learns nothing from it",
        }[self.kind]
        return f"epoch {self.epoch}: {what}: {self.remedy}."
