"""Squares in place of cross-entropy."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_nnx.losses._gan import GANLoss, scores


@keras.saving.register_keras_serializable(package="keras_nnx")
class LeastSquaresGANLoss(GANLoss):
    """Scores are regressed: to 1 for what is real, to 0 for what is generated.

    An image that is called real but lies far from the real ones still gets a gradient.

    Args:
        name: The name of the loss.

    Example:
        >>> import numpy as np
        >>> import keras_nnx as nnx
        >>> loss = nnx.losses.LeastSquaresGANLoss()
        >>> float(loss.discriminator(np.array([[0.5]]), np.array([[0.5]])))
        0.25

    Source:
        Mao et al., "Least Squares Generative Adversarial Networks" (2017), equation 9.
    """

    def discriminator(self, real: Any, generated: Any) -> Any:
        """Return half the squares of what real scores lack to 1 and of generated scores."""
        return (ops.mean(ops.square(scores(real) - 1)) + ops.mean(ops.square(scores(generated)))) / 2

    def generator(self, real: Any, generated: Any) -> Any:
        """Return half the square of what generated scores lack to 1."""
        return ops.mean(ops.square(scores(generated) - 1)) / 2
