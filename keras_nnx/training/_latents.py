"""Where generators start: points drawn from a normal distribution."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf


def next_seed(generator: object) -> tf.Tensor:
    """Return two integers for stateless random numbers, others on each replica of a distribution strategy."""
    seed = tf.cast(generator.next(), tf.int32)  # type: ignore[attr-defined]
    context = tf.distribute.get_replica_context()
    replica = 0 if context is None else context.replica_id_in_sync_group
    return tf.random.experimental.stateless_fold_in(seed, replica)


def drawn(generator: object, count: tf.Tensor, dim: int) -> tf.Tensor:
    """Return latents, `(count, dim)`, inside a training step."""
    return tf.random.stateless_normal(tf.stack([count, dim]), next_seed(generator), dtype=tf.float32)


def given(seed: int | None, count: int, dim: int, truncation: float | None) -> np.ndarray:
    """Return latents, `(count, dim)`, the same for the same seed on every machine.

    Args:
        seed: None draws others each time.
        count: How many.
        dim: Their size.
        truncation: What is over this in absolute value is drawn again; None keeps it all.
    """
    random = np.random.default_rng(seed)
    latents = random.standard_normal((count, dim))
    if truncation is not None:
        while (outside := np.abs(latents) > truncation).any():
            latents[outside] = random.standard_normal(int(outside.sum()))
    return latents.astype("float32")


def compiled(generator: Any, dim: int, conditional: bool) -> Callable[..., tf.Tensor]:
    """Return a generator as a function of latents, `(n, dim)`, and labels, `(n,)`: compiled once for any number.

    Keras's `predict` is compiled for each size of a batch, and TensorFlow warns of that.
    """

    def call(*inputs: tf.Tensor) -> tf.Tensor:
        return generator(list(inputs) if conditional else inputs[0], training=False)

    shapes = [tf.TensorSpec((None, dim), tf.float32), *[tf.TensorSpec((None,), tf.int32)] * conditional]
    return tf.function(call, input_signature=shapes, autograph=False).get_concrete_function()
