"""The margin that spectral normalisation is used with."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_nnx.losses._gan import GANLoss, scores


@keras.saving.register_keras_serializable(package="keras_nnx")
class HingeGANLoss(GANLoss):
    """The discriminator learns only from scores on the wrong side of a margin of 1.

    Use it with a discriminator of spectral normalisation, as SNGAN, SAGAN and BigGAN do.

    Args:
        name: The name of the loss.

    Example:
        >>> import numpy as np
        >>> import keras_nnx as nnx
        >>> loss = nnx.losses.HingeGANLoss()
        >>> float(loss.discriminator(np.array([[0.5]]), np.array([[-3.0]])))
        0.5

    Source:
        Miyato et al., "Spectral Normalization for Generative Adversarial Networks" (2018), equations 16 and 17.
    """

    def discriminator(self, real: Any, generated: Any) -> Any:
        """Return by how much real scores lie under 1, and generated ones over -1."""
        return ops.mean(ops.relu(1 - scores(real))) + ops.mean(ops.relu(1 + scores(generated)))

    def generator(self, real: Any, generated: Any) -> Any:
        """Return the negative score."""
        return -ops.mean(scores(generated))
