"""Learned tokens in front of a sequence."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_nnx import _checks
from keras_nnx._registration import register


@register
class ClassToken(keras.layers.Layer):
    """Puts a learned token in front of every sequence, and registers behind it if there are any.

    Use it where a transformer's answer is read from one place instead of from an average over the tokens. Registers are
    places where a large transformer can keep what belongs to no patch; without them it takes patches of the background
    for that. Keras has no layer for it.

    Args:
        registers: How many registers follow the class token.
        initializer: What the tokens start as. Default: a normal distribution with standard deviation 0.02.
        **kwargs: `name`, `dtype` and the like, as in `keras.layers.Layer`.

    Input shape:
        `(b, t, d)`: sequences of `t` tokens of size `d`; `t` may be unknown.

    Output shape:
        `(b, 1 + registers + t, d)`, the class token at index 0. A mask is passed on, with the new tokens valid.

    Raises:
        ValueError: If `registers` is no integer of at least 0, the input has no three axes, or its last one is unknown.

    Example:
        >>> import keras, numpy as np
        >>> import keras_nnx as nnx
        >>> nnx.layers.ClassToken()(np.ones((2, 16, 8), "float32")).shape
        TensorShape([2, 17, 8])

    Source:
        Dosovitskiy et al., "An Image is Worth 16x16 Words" (2021), equation 1; Darcet et al., "Vision Transformers Need
        Registers" (2024).
    """

    def __init__(self, registers: int = 0, initializer: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.registers = _checks.at_least_zero("ClassToken", "registers", registers)
        self.initializer = keras.initializers.get(initializer or keras.initializers.RandomNormal(stddev=0.02))

    def build(self, input_shape: tuple) -> None:
        _checks.rank("ClassToken", input_shape, "b t d")
        dim = _checks.last_axis("ClassToken", input_shape)
        self.token = self.add_weight(name="token", shape=(1, 1 + self.registers, dim), initializer=self.initializer)

    def call(self, inputs: Any) -> Any:  # b t d -> b 1+r+t d
        token = ops.cast(self.token, self.compute_dtype)
        token = ops.broadcast_to(token, (ops.shape(inputs)[0], 1 + self.registers, inputs.shape[-1]))
        return ops.concatenate([token, ops.cast(inputs, self.compute_dtype)], axis=1)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        if mask is None:
            return None
        return ops.pad(mask, ((0, 0), (1 + self.registers, 0)), constant_values=True)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        batch, length, dim = input_shape
        return batch, None if length is None else length + 1 + self.registers, dim

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "registers": self.registers,
            "initializer": keras.initializers.serialize(self.initializer),
        }
