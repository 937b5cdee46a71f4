"""How much the examples of a batch differ, as a channel."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_nnx import _checks
from keras_nnx._registration import register

_OWNER = "MinibatchStandardDeviation"


@register
class MinibatchStandardDeviation(keras.layers.Layer):
    """Appends how much the examples of a batch differ from each other, as channels that are the same everywhere.

    Put it before the last convolution of a discriminator, which then notices a generator that makes little but one
    picture. What it answers to an example depends on the others of the batch, at inference too: that is what it is for.

    Args:
        group_size: How many examples are compared, of those that lie evenly over the batch. Where the batch is no
            multiple of it, and with None, all of the batch is one group.
        channels: How many are appended: the channels of the input are split into as many groups, each with its own.
        epsilon: Added to the variance, over 0.
        **kwargs: `name`, `dtype` and the like, as in `keras.layers.Layer`.

    Input shape:
        `(b, h, w, c)`; `c` has to be known. Images carry no mask.

    Output shape:
        `(b, h, w, c + channels)`.

    Raises:
        ValueError: If an argument is out of its range, the input has no four axes, or `c` is unknown or no multiple of
            `channels`.

    Example:
        >>> import numpy as np
        >>> import keras_nnx as nnx
        >>> nnx.layers.MinibatchStandardDeviation()(np.ones((8, 4, 4, 16), "float32")).shape
        TensorShape([8, 4, 4, 17])

    Source:
        Karras et al., "Progressive Growing of GANs" (2018), section 3; groups and channels, Karras et al., "Analyzing
        and Improving the Image Quality of StyleGAN" (2020).
    """

    def __init__(self, group_size: int | None = 4, channels: int = 1, epsilon: float = 1e-8, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.group_size = _checks.optional_positive_integer(_OWNER, "group_size", group_size)
        self.channels = _checks.positive_integer(_OWNER, "channels", channels)
        self.epsilon = _checks.positive_number(_OWNER, "epsilon", epsilon)

    def build(self, input_shape: tuple) -> None:
        _checks.rank(_OWNER, input_shape, "b h w c")
        width = _checks.last_axis(_OWNER, input_shape)
        if width % self.channels:
            raise ValueError(
                f"{_OWNER}(channels={self.channels}) cannot split {width} channels evenly: use a divisor of {width}."
            )

    def call(self, inputs: Any) -> Any:  # b h w c -> b h w c+k
        inputs = ops.cast(inputs, self.compute_dtype)
        batch, height, width = ops.shape(inputs)[:3]
        size = self._size_of_groups(batch)
        groups = batch // size
        # In float32: squares of small differences are lost in half precision.
        x = ops.reshape(ops.cast(inputs, "float32"), (size, groups, -1))  # s g hwc
        variance = ops.mean(ops.square(x - ops.mean(x, axis=0, keepdims=True)), axis=0)  # g hwc
        deviation = ops.reshape(ops.sqrt(variance + self.epsilon), (groups, -1, self.channels, self._share(inputs)))
        deviation = ops.mean(deviation, axis=(1, 3))  # g k
        deviation = ops.broadcast_to(ops.expand_dims(deviation, 0), (size, groups, self.channels))
        deviation = ops.reshape(ops.cast(deviation, self.compute_dtype), (batch, 1, 1, self.channels))
        planes = ops.broadcast_to(deviation, (batch, height, width, self.channels))
        return ops.concatenate([inputs, planes], axis=-1)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return (*input_shape[:-1], input_shape[-1] + self.channels)

    def get_config(self) -> dict[str, Any]:
        names = ("group_size", "channels", "epsilon")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}

    def _size_of_groups(self, batch: Any) -> Any:
        if self.group_size is None:
            return batch
        if isinstance(batch, int):
            return self.group_size if batch % self.group_size == 0 else batch
        return ops.where(ops.equal(batch % self.group_size, 0), self.group_size, batch)

    def _share(self, inputs: Any) -> int:
        return inputs.shape[-1] // self.channels
