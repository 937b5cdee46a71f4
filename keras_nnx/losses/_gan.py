"""What the losses of generative adversarial networks share."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


class GANLoss:
    """What a discriminator and a generator each want, as one object.

    Subclass it for a loss of your own: `discriminator` and `generator` return one number for a batch of scores. Scores
    are logits, any number for each image, and arrive in float32 at least.

    Args:
        name: The name of the loss.
    """

    compares = False
    """Whether the generator is measured against the scores of real images too."""

    def __init__(self, name: str | None = None) -> None:
        self.name = name or type(self).__name__

    def discriminator(self, real: Any, generated: Any) -> Any:
        """Return what the discriminator minimises, given its scores."""
        raise NotImplementedError(f"{type(self).__name__} has no discriminator(real, generated).")

    def generator(self, real: Any, generated: Any) -> Any:
        """Return what the generator minimises; `real` is None unless the class sets `compares`."""
        raise NotImplementedError(f"{type(self).__name__} has no generator(real, generated).")

    def get_config(self) -> dict[str, Any]:
        """Return what was passed."""
        return {"name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> GANLoss:
        """Make the loss anew."""
        return cls(**config)


def scores(values: Any) -> Any:
    """Return scores in float32 at least: the losses add up, and their tails are small."""
    values = ops.convert_to_tensor(values)
    return values if keras.backend.standardize_dtype(values.dtype) == "float64" else ops.cast(values, "float32")


def against(logits: Any, smoothing: float = 0.0) -> Any:
    """Return the mean cross-entropy of `logits` with an answer of yes, or of `1 - smoothing`."""
    loss = ops.mean(ops.softplus(-logits))
    return loss + smoothing * ops.mean(logits) if smoothing else loss
