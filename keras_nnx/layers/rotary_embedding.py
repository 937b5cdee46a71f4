"""Positions as rotations of queries and keys."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_nnx import _checks
from keras_nnx._registration import register

SCALINGS = ("none", "linear", "dynamic", "yarn")
_FAST, _SLOW = 32.0, 1.0
"""YaRN: pairs that turn more than `_FAST` times in the original length stay, those under `_SLOW` times are slowed."""


@register
class RotaryEmbedding(keras.layers.Layer):
    """Rotates pairs of features by an angle that grows with the position.

    The product of a rotated query and a rotated key depends on how far they are apart, not on where they are. Hand it
    to `MultiHeadAttention(rotary=...)`, or call it on queries and keys. Keras has no layer for it.

    Feature `i` is paired with feature `i + d / 2`; the pair turns by `base ** (-2 * i / d)` a position. For sequences
    longer than those of the training there are three ways to turn more slowly:

    - `"linear"`: all pairs, `factor` times as slowly.
    - `"dynamic"`: the slow pairs, as much as the sequence at hand needs; of one up to `original_length`, none.
    - `"yarn"`: the pairs that do not complete a turn in `original_length`, `factor` times as slowly; those that turn
      often not at all; and everything grows by `0.1 * log(factor) + 1`, once for the query and once for the key.

    Args:
        base: Of the geometric series of angles, over 1.
        scaling: `"none"`, `"linear"`, `"dynamic"` or `"yarn"`.
        factor: How many times longer sequences may become than in the training, at least 1.
        original_length: The length in the training; `"dynamic"` and `"yarn"` need it.
        **kwargs: `name`, `dtype` and the like, as in `keras.layers.Layer`.

    Input shape:
        `(b, t, d)` or `(b, t, n, d)`, `d` even and known.

    Output shape:
        As the input. A mask is passed on unchanged.

    Raises:
        ValueError: If an argument is out of its range or missing, the input has another number of axes, or `d` is odd
            or unknown.

    Example:
        >>> import numpy as np
        >>> import keras_nnx as nnx
        >>> nnx.layers.RotaryEmbedding()(np.ones((1, 16, 2, 8), "float32")).shape
        TensorShape([1, 16, 2, 8])

    Source:
        Su et al., "RoFormer: Enhanced Transformer with Rotary Position Embedding" (2021), equation 34; Chen et al.,
        "Extending Context Window of Large Language Models via Positional Interpolation" (2023); Peng et al., "YaRN:
        Efficient Context Window Extension of Large Language Models" (2023), sections 3.2 to 3.4 and appendix B.1.
    """

    def __init__(
        self,
        base: float = 10000.0,
        scaling: str = "none",
        factor: float = 1.0,
        original_length: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.base = _checks.at_least("RotaryEmbedding", "base", base, 1)
        self.scaling = _checks.one_of("RotaryEmbedding", "scaling", scaling, SCALINGS)
        self.factor = _checks.at_least("RotaryEmbedding", "factor", factor, 1)
        if original_length is not None:
            original_length = _checks.positive_integer("RotaryEmbedding", "original_length", original_length)
        elif scaling in ("dynamic", "yarn"):
            raise ValueError(
                f"RotaryEmbedding(scaling={scaling!r}) needs original_length, the longest sequence of the training."
            )
        self.original_length = original_length

    def build(self, input_shape: tuple) -> None:
        self.compute_output_shape(input_shape)

    def call(self, inputs: Any) -> Any:  # b t n d -> b t n d
        self.compute_output_shape(inputs.shape)
        dim, length = inputs.shape[-1], ops.shape(inputs)[1]
        angles = ops.expand_dims(ops.arange(0, length, dtype="float32"), -1) * self._frequencies(dim, length)  # t d/2
        if len(inputs.shape) == 4:
            angles = ops.expand_dims(angles, 1)
        size = 0.1 * math.log(self.factor) + 1 if self.scaling == "yarn" else 1.0
        cosines, sines = ops.cos(angles) * size, ops.sin(angles) * size
        first, second = ops.split(ops.cast(inputs, "float32"), 2, axis=-1)
        rotated = [first * cosines - second * sines, second * cosines + first * sines]
        return ops.cast(ops.concatenate(rotated, axis=-1), self.compute_dtype)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        if len(input_shape) not in (3, 4):
            raise ValueError(
                f"RotaryEmbedding expects inputs of shape (b, t, d) or (b, t, n, d), but received {tuple(input_shape)}."
            )
        dim = _checks.last_axis("RotaryEmbedding", input_shape)
        if dim % 2:
            raise ValueError(
                f"RotaryEmbedding rotates pairs of features, but received {dim} of them: use an even size."
            )
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "base": self.base,
            "scaling": self.scaling,
            "factor": self.factor,
            "original_length": self.original_length,
        }

    def _frequencies(self, dim: int, length: Any) -> Any:
        """Return by how much each pair turns a position, (d/2,)."""
        exponents = np.arange(0, dim, 2, dtype="float32") / dim
        frequencies = self.base**-exponents
        if self.scaling == "linear":
            return (frequencies / self.factor).astype("float32")
        if self.scaling == "yarn":
            assert self.original_length is not None
            turns = self.original_length * frequencies / (2 * math.pi)
            kept = np.clip((turns - _SLOW) / (_FAST - _SLOW), 0, 1)
            return (frequencies * (kept + (1 - kept) / self.factor)).astype("float32")
        if self.scaling == "dynamic" and dim > 2:
            longer = ops.maximum(ops.cast(length, "float32") / self.original_length, 1.0)
            stretch = self.factor * longer - (self.factor - 1)
            return frequencies.astype("float32") * ops.power(stretch, -exponents * (dim / (dim - 2)))
        return frequencies.astype("float32")
