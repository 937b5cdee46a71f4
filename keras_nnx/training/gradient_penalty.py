"""The penalty that keeps a critic's slope near one."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from keras_nnx import _checks
from keras_nnx.training.critics import Critic, CriticRegularizer, safe_root, squared_gradients


@keras.saving.register_keras_serializable(package="keras_nnx")
class GradientPenalty(CriticRegularizer):
    """Pulls the norm of the critic's gradient to a target, on lines between real and generated images.

    For `nnx.losses.WassersteinGANLoss`. A gradient of zero has no direction; its penalty counts, and gives no NaN.

    Args:
        weight: What the penalty is multiplied by, over 0.
        target: The norm to be had; 0 is more stable where images differ little.
        interval: On each how many-th step it is computed, at least 1.
        name: What it is called among the logs.

    Raises:
        ValueError: If an argument is out of its range.

    Example:
        >>> import tensorflow as tf
        >>> import keras_nnx as nnx
        >>> penalty = nnx.training.GradientPenalty(target=1.0)
        >>> images, seed = tf.ones((4, 2, 2, 1)), tf.constant([1, 2])
        >>> float(penalty.penalty(lambda images: 0.0 * images, images, images, seed))
        1.0

    Source:
        Gulrajani et al., "Improved Training of Wasserstein GANs" (2017), equation 3.
    """

    def __init__(self, weight: float = 10.0, target: float = 1.0, interval: int = 1, name: str | None = None) -> None:
        super().__init__(weight, interval, name)
        self.target = _checks.at_least(type(self).__name__, "target", target, 0)

    def penalty(self, critic: Critic, real: tf.Tensor, generated: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Return the mean square of what the norm of the gradient is off its target."""
        shape = tf.concat([tf.shape(real)[:1], tf.ones(len(real.shape) - 1, tf.int32)], 0)
        share = tf.random.stateless_uniform(shape, seed, dtype=tf.float32)
        between = tf.cast(real, tf.float32) * share + tf.cast(generated, tf.float32) * (1 - share)
        return tf.reduce_mean(tf.square(safe_root(squared_gradients(critic, between)) - self.target))

    def get_config(self) -> dict[str, Any]:
        """Return what was passed."""
        return {**super().get_config(), "target": self.target}
