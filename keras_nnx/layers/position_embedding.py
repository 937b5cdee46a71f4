"""A learned vector for every position of a sequence."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_nnx import _checks


@keras.saving.register_keras_serializable(package="keras_nnx")
class PositionEmbedding(keras.layers.Layer):
    """Adds a learned vector to every position of a sequence.

    Use it before the first transformer block: attention by itself does not know the order of its tokens. Keras has
    `Embedding`, which looks up numbers that the caller has to make; this layer is the sum itself.

    Args:
        initializer: What the vectors start as. Default: a normal distribution with standard deviation 0.02.
        **kwargs: `name`, `dtype` and the like, as in `keras.layers.Layer`.

    Input shape:
        `(b, t, d)`; `t` and `d` have to be known when the layer is built.

    Output shape:
        As the input. A mask is passed on unchanged.

    Raises:
        ValueError: If the input has no three axes, or `t` or `d` is unknown, or `t` differs from the one built for.

    Example:
        >>> import numpy as np
        >>> import keras_nnx as nnx
        >>> nnx.layers.PositionEmbedding()(np.ones((2, 17, 8), "float32")).shape
        TensorShape([2, 17, 8])

    Source:
        Dosovitskiy et al., "An Image is Worth 16x16 Words" (2021), equation 1.
    """

    def __init__(self, initializer: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.initializer = keras.initializers.get(initializer or keras.initializers.RandomNormal(stddev=0.02))

    def build(self, input_shape: tuple) -> None:
        _checks.rank("PositionEmbedding", input_shape, "b t d")
        if None in input_shape[1:]:
            raise ValueError(
                f"PositionEmbedding has one vector for each position and needs to know their number and size, but "
                f"received shape {input_shape}: give the input a fixed length."
            )
        self.positions = self.add_weight(name="positions", shape=input_shape[1:], initializer=self.initializer)

    def call(self, inputs: Any) -> Any:  # b t d -> b t d
        length = inputs.shape[1]
        if length is not None and length != self.positions.shape[0]:
            raise ValueError(
                f"PositionEmbedding was built for {self.positions.shape[0]} positions and received {length}: "
                f"build another model for that length."
            )
        return ops.cast(inputs, self.compute_dtype) + ops.cast(self.positions, self.compute_dtype)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "initializer": keras.initializers.serialize(self.initializer)}
