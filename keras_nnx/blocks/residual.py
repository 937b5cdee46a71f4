"""The basic residual block of a ResNet."""

from __future__ import annotations

from typing import Any

import keras

from keras_nnx import _checks


@keras.saving.register_keras_serializable(package="keras_nnx")
class ResidualBlock(keras.layers.Layer):
    """Two convolutions whose result is added to their input.

    Convolution, batch normalisation, activation, convolution, batch normalisation, sum, activation. Where the sum
    would not fit (a stride, or another number of channels), a 1 x 1 convolution brings the input into shape.

    Args:
        filters: Number of output channels.
        kernel_size: Side of both convolutions in pixels.
        strides: Step of the first convolution; 2 halves height and width.
        activation: Name or function. Default: `"relu"`.
        momentum: Share of the old value in the moving statistics of the normalisations, in [0, 1).
        **kwargs: `name`, `dtype` and the like, as in `keras.layers.Layer`.

    Input shape:
        `(b, h, w, c)`, channels last; `h` and `w` may be unknown.

    Output shape:
        `(b, ceil(h / strides), ceil(w / strides), filters)`. Images carry no mask.

    Raises:
        ValueError: If an argument is not a positive integer, `momentum` is outside [0, 1), the input has no four
            axes, or the number of its channels is unknown.

    Example:
        >>> import numpy as np
        >>> import keras_nnx as nnx
        >>> nnx.blocks.ResidualBlock(16, strides=2)(np.ones((1, 8, 8, 3), "float32")).shape
        TensorShape([1, 4, 4, 16])

    Source:
        He et al., "Deep Residual Learning for Image Recognition" (2016), figure 2, shortcut B.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int = 3,
        strides: int = 1,
        activation: Any = "relu",
        momentum: float = 0.9,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters = _checks.positive_integer("ResidualBlock", "filters", filters)
        self.kernel_size = _checks.positive_integer("ResidualBlock", "kernel_size", kernel_size)
        self.strides = _checks.positive_integer("ResidualBlock", "strides", strides)
        self.activation = keras.activations.get(activation)
        self.momentum = _checks.probability("ResidualBlock", "momentum", momentum)

    def build(self, input_shape: tuple) -> None:
        _checks.rank("ResidualBlock", input_shape, "b h w c")
        channels = _checks.last_axis("ResidualBlock", input_shape)
        output_shape = self.compute_output_shape(input_shape)
        self.convolution_1 = self._convolution(self.kernel_size, self.strides, "convolution_1")
        self.normalization_1 = self._normalization("normalization_1")
        self.convolution_2 = self._convolution(self.kernel_size, 1, "convolution_2")
        self.normalization_2 = self._normalization("normalization_2")
        self.convolution_1.build(input_shape)
        self.convolution_2.build(output_shape)
        self.normalization_1.build(output_shape)
        self.normalization_2.build(output_shape)
        self.projects = self.strides > 1 or channels != self.filters
        if self.projects:
            self.shortcut = self._convolution(1, self.strides, "shortcut")
            self.shortcut_normalization = self._normalization("shortcut_normalization")
            self.shortcut.build(input_shape)
            self.shortcut_normalization.build(output_shape)

    def call(self, inputs: Any, training: bool | None = None) -> Any:  # b h w c -> b h/s w/s filters
        shortcut = inputs
        if self.projects:
            shortcut = self.shortcut_normalization(self.shortcut(inputs), training=training)
        branch = self.activation(self.normalization_1(self.convolution_1(inputs), training=training))
        branch = self.normalization_2(self.convolution_2(branch), training=training)
        return self.activation(branch + shortcut)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        batch, *sides, _ = input_shape
        sides = [None if side is None else -(-side // self.strides) for side in sides]
        return batch, *sides, self.filters

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "activation": keras.activations.serialize(self.activation),
            "momentum": self.momentum,
        }

    def _convolution(self, kernel_size: int, strides: int, name: str) -> keras.layers.Layer:
        return keras.layers.Conv2D(
            self.filters,
            kernel_size,
            strides=strides,
            padding="same",
            use_bias=False,
            data_format="channels_last",
            kernel_initializer="he_normal",
            dtype=self.dtype_policy,
            name=name,
        )

    def _normalization(self, name: str) -> keras.layers.Layer:
        return keras.layers.BatchNormalization(momentum=self.momentum, dtype=self.dtype_policy, name=name)
