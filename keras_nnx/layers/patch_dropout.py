"""Training on a part of the patches."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_nnx import _checks
from keras_nnx._registration import register


@register
class PatchDropout(keras.layers.Layer):
    """Leaves out a random part of the patches of each picture in training, and nothing at inference.

    Put it behind the positions. It makes training faster, since what is left out costs nothing, and regularises.
    `keras.layers.Dropout` zeroes; this layer shortens the sequence.

    Args:
        rate: Fraction of the patches that is left out, in [0, 1); of the rest at least one stays.
        prefix: How many tokens at the start, such as a class token, always stay.
        seed: Seed of the draws.
        **kwargs: `name`, `dtype` and the like, as in `keras.layers.Layer`.

    Input shape:
        `(b, t, d)`; `t` may be unknown. Patches carry no mask: one is not passed on.

    Output shape:
        As the input, and in training `(b, prefix + k, d)` with the `k` patches that stay, in their order.

    Raises:
        ValueError: If `rate` is outside [0, 1), `prefix` is no integer of at least 0, or the input has no three axes.

    Example:
        >>> import numpy as np
        >>> import keras_nnx as nnx
        >>> patches = np.ones((2, 17, 8), "float32")
        >>> nnx.layers.PatchDropout(0.5, prefix=1)(patches, training=True).shape
        TensorShape([2, 9, 8])

    Source:
        Liu et al., "PatchDropout: Economizing Vision Transformers Using Patch Dropout" (2023), section 3.2.
    """

    def __init__(self, rate: float, prefix: int = 0, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rate = _checks.probability("PatchDropout", "rate", rate)
        self.prefix = _checks.at_least_zero("PatchDropout", "prefix", prefix)
        self.seed = seed
        if self.rate > 0:
            self.seed_generator = keras.random.SeedGenerator(seed)

    def build(self, input_shape: tuple) -> None:
        _checks.rank("PatchDropout", input_shape, "b t d")

    def call(self, inputs: Any, training: bool | None = None) -> Any:  # b t d -> b p+k d
        if not training or self.rate == 0:
            return inputs
        first, patches = inputs[:, : self.prefix], inputs[:, self.prefix :]
        count = ops.shape(patches)[1]
        draws = keras.random.uniform((ops.shape(inputs)[0], count), seed=self.seed_generator)
        order = ops.argsort(draws, axis=1)[:, : _kept(count, self.rate)]
        places = ops.expand_dims(ops.sort(order, axis=1), -1)
        return ops.concatenate([first, ops.take_along_axis(patches, places, axis=1)], axis=1)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate, "prefix": self.prefix, "seed": self.seed}


def _kept(count: Any, rate: float) -> Any:
    """Return how many of `count` patches stay."""
    if isinstance(count, int):
        return min(count, max(1, round(count * (1 - rate))))
    return ops.maximum(ops.cast(ops.round(ops.cast(count, "float32") * (1 - rate)), "int32"), 1)
