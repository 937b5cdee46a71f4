"""The earth mover's distance, as a critic sees it."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_nnx.losses._gan import GANLoss, scores


@keras.saving.register_keras_serializable(package="keras_nnx")
class WassersteinGANLoss(GANLoss):
    """The critic drives scores of real and generated images apart; the negative of its loss estimates their distance.

    The critic has to stay 1-Lipschitz: give `nnx.training.GradientPenalty` with it, and several critic steps.

    Args:
        name: The name of the loss.

    Example:
        >>> import numpy as np
        >>> import keras_nnx as nnx
        >>> loss = nnx.losses.WassersteinGANLoss()
        >>> float(loss.discriminator(np.array([[3.0]]), np.array([[1.0]])))
        -2.0

    Source:
        Arjovsky et al., "Wasserstein GAN" (2017), algorithm 1.
    """

    def discriminator(self, real: Any, generated: Any) -> Any:
        """Return by how much generated images score over real ones."""
        return ops.mean(scores(generated)) - ops.mean(scores(real))

    def generator(self, real: Any, generated: Any) -> Any:
        """Return the negative score."""
        return -ops.mean(scores(generated))
