"""Residual branches left out at random."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_nnx import _checks
from keras_nnx._registration import register


@register
class StochasticDepth(keras.layers.Layer):
    """Zeroes whole examples of a residual branch in training, and does nothing at inference.

    Put it on the branch, before the sum. `keras.layers.Dropout` with a noise shape does the same for one known rank;
    this layer serves any, and vanishes from an exported graph.

    Args:
        rate: Probability that an example loses the branch, in [0, 1). What stays is divided by `1 - rate`.
        seed: Seed of the draws.
        **kwargs: `name`, `dtype` and the like, as in `keras.layers.Layer`.

    Input shape:
        `(b, ...)`.

    Output shape:
        As the input. A mask is passed on unchanged.

    Raises:
        ValueError: If `rate` is outside [0, 1).

    Example:
        >>> import numpy as np
        >>> import keras_nnx as nnx
        >>> branch = np.ones((4, 3), "float32")
        >>> bool((nnx.layers.StochasticDepth(0.5)(branch, training=False) == branch).numpy().all())
        True

    Source:
        Huang et al., "Deep Networks with Stochastic Depth" (2016), equation 2, scaled in training.
    """

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.rate = _checks.probability("StochasticDepth", "rate", rate)
        self.seed = seed
        if self.rate > 0:
            self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, inputs: Any, training: bool | None = None) -> Any:  # b ... -> b ...
        if not training or self.rate == 0:
            return inputs
        shape = (ops.shape(inputs)[0],) + (1,) * (len(inputs.shape) - 1)
        keep = keras.random.uniform(shape, seed=self.seed_generator) >= self.rate
        return ops.where(keep, inputs / (1 - self.rate), ops.zeros_like(inputs))

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}
