"""A learned token in front of a sequence."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_nnx import _checks


@keras.saving.register_keras_serializable(package="keras_nnx")
class ClassToken(keras.layers.Layer):
    """Puts one learned token in front of every sequence.

    Use it where a transformer's answer is read from one place instead of from an average over the tokens. Keras
    has no layer for it.

    Args:
        initializer: What the token starts as. Default: a normal distribution with standard deviation 0.02.
        **kwargs: `name`, `dtype` and the like, as in `keras.layers.Layer`.

    Input shape:
        `(b, t, d)`: sequences of `t` tokens of size `d`; `t` may be unknown.

    Output shape:
        `(b, t + 1, d)`, the new token at index 0. A mask is passed on, with the new token valid.

    Raises:
        ValueError: If the input has no three axes, or its last one is unknown.

    Example:
        >>> import keras, numpy as np
        >>> import keras_nnx as nnx
        >>> nnx.layers.ClassToken()(np.ones((2, 16, 8), "float32")).shape
        TensorShape([2, 17, 8])

    Source:
        Dosovitskiy et al., "An Image is Worth 16x16 Words" (2021), equation 1.
    """

    def __init__(self, initializer: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.initializer = keras.initializers.get(initializer or keras.initializers.RandomNormal(stddev=0.02))

    def build(self, input_shape: tuple) -> None:
        _checks.rank("ClassToken", input_shape, "b t d")
        dim = _checks.last_axis("ClassToken", input_shape)
        self.token = self.add_weight(name="token", shape=(1, 1, dim), initializer=self.initializer)

    def call(self, inputs: Any) -> Any:  # b t d -> b t+1 d
        token = ops.cast(self.token, self.compute_dtype)
        token = ops.broadcast_to(token, (ops.shape(inputs)[0], 1, inputs.shape[-1]))
        return ops.concatenate([token, ops.cast(inputs, self.compute_dtype)], axis=1)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        if mask is None:
            return None
        return ops.pad(mask, ((0, 0), (1, 0)), constant_values=True)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        batch, length, dim = input_shape
        return batch, None if length is None else length + 1, dim

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "initializer": keras.initializers.serialize(self.initializer)}
