"""The cross-entropy that leaves the generator a gradient."""

from __future__ import annotations

from typing import Any

import keras

from keras_nnx.losses._gan import against, scores
from keras_nnx.losses.minimax import MinimaxGANLoss


@keras.saving.register_keras_serializable(package="keras_nnx")
class NonSaturatingGANLoss(MinimaxGANLoss):
    """The discriminator's cross-entropy, and for the generator that of having its images called real.

    What most use, StyleGAN among them, with `R1` beside it.

    Args:
        label_smoothing: How far under 1 the discriminator's answer for real images is, in [0, 1).
        name: The name of the loss.

    Raises:
        ValueError: If `label_smoothing` is outside [0, 1).

    Example:
        >>> import numpy as np
        >>> import keras_nnx as nnx
        >>> loss = nnx.losses.NonSaturatingGANLoss()
        >>> round(float(loss.generator(None, np.array([[-2.0]]))), 3)
        2.127

    Source:
        Goodfellow et al., "Generative Adversarial Nets" (2014), section 3.
    """

    def generator(self, real: Any, generated: Any) -> Any:
        """Return the cross-entropy of calling generated images real."""
        return against(scores(generated))
