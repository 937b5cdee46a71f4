"""Penalties on the slope of a discriminator where the images are."""

from __future__ import annotations

import keras
import tensorflow as tf

from keras_nnx.training.critics import Critic, CriticRegularizer, squared_gradients


@keras.saving.register_keras_serializable(package="keras_nnx")
class R1(CriticRegularizer):
    """Half the squared gradient of the discriminator at real images: it makes the game converge.

    Args:
        weight: What the penalty is multiplied by, over 0; from 0.1 for small images to 10 and more for large ones.
        interval: On each how many-th step it is computed, at least 1. Steps in between cost nothing.
        name: What it is called among the logs.

    Raises:
        ValueError: If an argument is out of its range.

    Example:
        >>> import tensorflow as tf
        >>> import keras_nnx as nnx
        >>> images = tf.ones((4, 2, 2, 1))
        >>> float(nnx.training.R1().penalty(lambda images: 3.0 * images, images, images, tf.constant([1, 2])))
        18.0

    Source:
        Mescheder et al., "Which Training Methods for GANs do actually Converge?" (2018), equation 9; intervals,
        Karras et al., "Analyzing and Improving the Image Quality of StyleGAN" (2020), section 3.1.
    """

    def __init__(self, weight: float = 1.0, interval: int = 16, name: str | None = None) -> None:
        super().__init__(weight, interval, name)

    def penalty(self, critic: Critic, real: tf.Tensor, generated: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Return half the mean squared norm of the gradient at `real`."""
        return tf.reduce_mean(squared_gradients(critic, real)) / 2


@keras.saving.register_keras_serializable(package="keras_nnx")
class R2(R1):
    """Half the squared gradient of the discriminator at generated images, beside `R1`.

    Args:
        weight: What the penalty is multiplied by, over 0.
        interval: On each how many-th step it is computed, at least 1. Steps in between cost nothing.
        name: What it is called among the logs.

    Raises:
        ValueError: If an argument is out of its range.

    Example:
        >>> import keras_nnx as nnx
        >>> nnx.training.R2(weight=0.5).get_config()
        {'weight': 0.5, 'interval': 16, 'name': 'R2'}

    Source:
        Mescheder et al., "Which Training Methods for GANs do actually Converge?" (2018), equation 10.
    """

    def penalty(self, critic: Critic, real: tf.Tensor, generated: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Return half the mean squared norm of the gradient at `generated`."""
        return tf.reduce_mean(squared_gradients(critic, generated)) / 2
