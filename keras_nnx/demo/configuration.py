"""What the demonstration is asked to do."""

from __future__ import annotations

import dataclasses
from pathlib import Path

MODELS = ("vit", "resnet")
DEFAULT_EPOCHS = {"vit": 80, "resnet": 30}
WEIGHT_DECAY = {"vit": 0.2, "resnet": 0.05}


@dataclasses.dataclass(frozen=True)
class Configuration:
    """Settings of one run.

    Args:
        model: `"vit"` or `"resnet"`.
        out: Where the results go.
        epochs: At most so many passes over the training split.
        seed: Seed of weights, order and augmentation.
        overwrite: Whether an earlier result in `out` is replaced.
        batch_size: Examples in a training step.
        learning_rate: Peak of the schedule.
        weight_decay: Share of each weight matrix taken off a step, times the learning rate; None for what the model
            needs.
        warmup_share: Share of all steps in which the learning rate rises.
        patience: Epochs without a better validation loss before training stops.
    """

    model: str
    out: Path
    epochs: int
    seed: int = 0
    overwrite: bool = False
    batch_size: int = 64
    learning_rate: float = 2e-3
    weight_decay: float | None = None
    warmup_share: float = 0.1
    patience: int = 30

    @property
    def decay(self) -> float:
        """The weight decay that is used."""
        return WEIGHT_DECAY[self.model] if self.weight_decay is None else self.weight_decay

    def to_dict(self) -> dict[str, str | int | float | bool]:
        """Return the settings that shape the result, in types that JSON knows."""
        values = {**dataclasses.asdict(self), "weight_decay": self.decay}
        del values["out"], values["overwrite"]
        return values
