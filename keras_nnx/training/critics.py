"""What regularisers of a discriminator share: gradients of its scores, and intervals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from keras_nnx import _checks

Critic = Callable[[tf.Tensor], tf.Tensor]
"""Scores images, with the labels of the batch."""


class CriticRegularizer:
    """What is added to the loss of a discriminator, on every step or, lazily, on every few.

    Subclass it for one of your own: `penalty` returns one number.

    Args:
        weight: What the penalty is multiplied by, over 0.
        interval: On each how many-th step it is computed; what it adds is multiplied by as much, so that the mean
            stays. At least 1.
        name: What it is called among the logs.

    Raises:
        ValueError: If an argument is out of its range.
    """

    def __init__(self, weight: float, interval: int = 1, name: str | None = None) -> None:
        owner = type(self).__name__
        self.weight = _checks.positive_number(owner, "weight", weight)
        self.interval = _checks.positive_integer(owner, "interval", interval)
        self.name = name or owner

    def penalty(self, critic: Critic, real: tf.Tensor, generated: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Return the penalty without its weight.

        Args:
            critic: Scores images.
            real: Images, `(b, h, w, c)`, as the discriminator sees them.
            generated: As many generated ones.
            seed: Two integers for stateless random numbers.
        """
        raise NotImplementedError(f"{type(self).__name__} has no penalty(critic, real, generated, seed).")

    def __call__(
        self, critic: Critic, real: tf.Tensor, generated: tf.Tensor, seed: tf.Tensor, step: tf.Tensor
    ) -> tf.Tensor:
        """Return what this step adds to the loss: zero between intervals."""

        def weighted() -> tf.Tensor:
            return self.weight * self.interval * tf.cast(self.penalty(critic, real, generated, seed), tf.float32)

        if self.interval == 1:
            return weighted()
        return tf.cond(step % self.interval == 0, weighted, lambda: tf.zeros((), tf.float32))

    def get_config(self) -> dict[str, Any]:
        """Return what was passed."""
        return {"weight": self.weight, "interval": self.interval, "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> CriticRegularizer:
        """Make the regulariser anew."""
        return cls(**config)


def squared_gradients(critic: Critic, images: tf.Tensor) -> tf.Tensor:
    """Return the squared norm of the gradient of each image's score, `(b)`, in float32."""
    with tf.GradientTape() as tape:
        tape.watch(images)
        score = tf.reduce_sum(tf.cast(critic(images), tf.float32))
    gradients = tf.cast(tape.gradient(score, images), tf.float32)
    return tf.reduce_sum(tf.square(gradients), axis=tuple(range(1, len(images.shape))))


def safe_root(squares: tf.Tensor) -> tf.Tensor:
    """Return the square roots, whose slope at zero is taken as zero: the true one is infinite."""
    zero = squares <= 0
    return tf.where(zero, 0.0, tf.sqrt(tf.where(zero, 1.0, squares)))
