"""Four neighbours made into one."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_nnx import _checks
from keras_nnx._registration import register


@register
class PatchMerging(keras.layers.Layer):
    """Halves the sides of an image: the features of each two by two neighbours, normalised and projected.

    Use it between the stages of a Swin transformer. Keras has no layer for it.

    Args:
        dim: Number of output features. Default: twice the number of input features.
        epsilon: Added to the variance in the normalisation, over 0.
        **kwargs: `name`, `dtype` and the like, as in `keras.layers.Layer`.

    Input shape:
        `(b, h, w, c)`; `h` and `w` may be unknown. An odd side is filled with zeros. Images carry no mask.

    Output shape:
        `(b, ceil(h / 2), ceil(w / 2), dim)`.

    Raises:
        ValueError: If an argument is out of its range, the input has no four axes, or its channels are unknown.

    Example:
        >>> import numpy as np
        >>> import keras_nnx as nnx
        >>> nnx.layers.PatchMerging()(np.ones((1, 7, 8, 4), "float32")).shape
        TensorShape([1, 4, 4, 8])

    Source:
        Liu et al., "Swin Transformer: Hierarchical Vision Transformer using Shifted Windows" (2021), section 3.1.
    """

    def __init__(self, dim: int | None = None, epsilon: float = 1e-5, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dim = _checks.optional_positive_integer("PatchMerging", "dim", dim)
        self.epsilon = _checks.positive_number("PatchMerging", "epsilon", epsilon)

    def build(self, input_shape: tuple) -> None:
        *_, dim = self.compute_output_shape(input_shape)
        merged = (None, None, None, 4 * input_shape[-1])
        common = {"dtype": self.dtype_policy}
        self.normalization = keras.layers.LayerNormalization(epsilon=self.epsilon, name="normalization", **common)
        self.projection = keras.layers.Dense(dim, use_bias=False, name="projection", **common)
        self.normalization.build(merged)
        self.projection.build(merged)

    def call(self, inputs: Any) -> Any:  # b h w c -> b h/2 w/2 d
        height, width = ops.shape(inputs)[1:3]
        below, right = height % 2, width % 2
        if not isinstance(height, int) or not isinstance(width, int) or below or right:
            inputs = ops.pad(inputs, ((0, 0), (0, below), (0, right), (0, 0)))
        # In the order of the paper's code: down before right.
        corners = [inputs[:, row::2, column::2] for column in (0, 1) for row in (0, 1)]
        return self.projection(self.normalization(ops.concatenate(corners, axis=-1)))

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        _checks.rank("PatchMerging", input_shape, "b h w c")
        channels = _checks.last_axis("PatchMerging", input_shape)
        sides = (None if side is None else -(-side // 2) for side in input_shape[1:3])
        return (input_shape[0], *sides, self.dim or 2 * channels)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "dim": self.dim, "epsilon": self.epsilon}
