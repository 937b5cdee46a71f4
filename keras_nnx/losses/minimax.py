"""The game of the first adversarial networks."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_nnx import _checks
from keras_nnx.losses._gan import GANLoss, against, scores


@keras.saving.register_keras_serializable(package="keras_nnx")
class MinimaxGANLoss(GANLoss):
    """The generator maximises what the discriminator minimises: its cross-entropy.

    Where the discriminator is sure, the generator gets next to no gradient: `NonSaturatingGANLoss` mends that.

    Args:
        label_smoothing: How far under 1 the answer for real images is, in [0, 1).
        name: The name of the loss.

    Raises:
        ValueError: If `label_smoothing` is outside [0, 1).

    Example:
        >>> import numpy as np
        >>> import keras_nnx as nnx
        >>> loss = nnx.losses.MinimaxGANLoss()
        >>> real, generated = np.array([[2.0]]), np.array([[-2.0]])
        >>> round(float(loss.discriminator(real, generated)), 3), round(float(loss.generator(None, generated)), 3)
        (0.254, -0.127)

    Source:
        Goodfellow et al., "Generative Adversarial Nets" (2014), equation 1; smoothing on one side, Salimans et al.,
        "Improved Techniques for Training GANs" (2016), section 3.4.
    """

    def __init__(self, label_smoothing: float = 0.0, name: str | None = None) -> None:
        super().__init__(name)
        self.label_smoothing = _checks.probability(type(self).__name__, "label_smoothing", label_smoothing)

    def discriminator(self, real: Any, generated: Any) -> Any:
        """Return the cross-entropy of calling real images real and generated ones generated."""
        return against(scores(real), self.label_smoothing) + against(-scores(generated))

    def generator(self, real: Any, generated: Any) -> Any:
        """Return the logarithm of how likely generated images are called generated."""
        return -ops.mean(ops.softplus(scores(generated)))

    def get_config(self) -> dict[str, Any]:
        """Return what was passed."""
        return {**super().get_config(), "label_smoothing": self.label_smoothing}
