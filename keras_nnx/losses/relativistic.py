"""Scores that count only beside those of the other side."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_nnx import _checks
from keras_nnx.losses._gan import GANLoss, against, scores

_OWNER = "RelativisticGANLoss"


@keras.saving.register_keras_serializable(package="keras_nnx")
class RelativisticGANLoss(GANLoss):
    """The discriminator says which of two images is the more real; the generator wants to win.

    The game has no answer in which the discriminator ignores a mode, so that collapse is rarer; with `R1` and `R2` it
    converges locally.

    Args:
        reference: What a score is compared with: `"pair"`, one score of the other side, or `"average"`, the mean of
            them all.
        name: The name of the loss.

    Raises:
        ValueError: If `reference` is unknown.

    Example:
        >>> import numpy as np
        >>> import keras_nnx as nnx
        >>> loss = nnx.losses.RelativisticGANLoss()
        >>> real, generated = np.array([[1.0]]), np.array([[1.0]])
        >>> round(float(loss.discriminator(real, generated)), 3), round(float(loss.generator(real, generated)), 3)
        (0.693, 0.693)

    Source:
        Jolicoeur-Martineau, "The relativistic discriminator" (2019), equations 3 to 6; pairs with both penalties,
        Huang et al., "The GAN is dead; long live the GAN!" (2024), section 2.
    """

    compares = True

    def __init__(self, reference: str = "pair", name: str | None = None) -> None:
        super().__init__(name)
        self.reference = _checks.one_of(_OWNER, "reference", reference, ("pair", "average"))

    def discriminator(self, real: Any, generated: Any) -> Any:
        """Return the cross-entropy of calling real images the more real ones."""
        real, generated = scores(real), scores(generated)
        if self.reference == "pair":
            return against(real - generated)
        return against(real - ops.mean(generated)) + against(ops.mean(real) - generated)

    def generator(self, real: Any, generated: Any) -> Any:
        """Return the cross-entropy of calling generated images the more real ones."""
        return self.discriminator(generated, real)

    def get_config(self) -> dict[str, Any]:
        """Return what was passed."""
        return {**super().get_config(), "reference": self.reference}
