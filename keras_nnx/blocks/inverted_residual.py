"""The inverted residual block of MobileNet and EfficientNet."""

from __future__ import annotations

from typing import Any

import keras

from keras_nnx import _checks
from keras_nnx._registration import register
from keras_nnx.blocks._steps import activation, add_step, normalization, run_steps
from keras_nnx.layers import SqueezeExcite, StochasticDepth

_OWNER = "InvertedResidualBlock"


@register
class InvertedResidualBlock(keras.layers.Layer):
    """Widens an image, convolves each channel by itself, gates the channels and narrows it again.

    The input is added where it fits: with a stride of one and as many filters as channels.

    Args:
        filters: Number of output channels.
        expansion: How many times wider it is inside; with 1 nothing is widened.
        kernel_size: Side of the depthwise convolution.
        strides: Its step; 2 halves height and width.
        squeeze: Width of the gate's network over the number of input channels, in (0, 1]; None for no gate.
        fused: Whether one whole convolution widens and convolves, which is faster where there are few channels.
        activation: Activation after all convolutions but the last, and in the gate.
        stochastic_depth: Probability that an example skips the branch in training, in [0, 1).
        momentum: Share of the old value in the moving statistics of the normalisations, in [0, 1).
        epsilon: Added to their variance, over 0.
        seed: Seed of the skipping.
        **kwargs: `name`, `dtype` and the like, as in `keras.layers.Layer`.

    Input shape:
        `(b, h, w, c)`; `h` and `w` may be unknown. Images carry no mask.

    Output shape:
        `(b, ceil(h / strides), ceil(w / strides), filters)`.

    Raises:
        ValueError: If an argument is out of its range, the input has no four axes, or its channels are unknown.

    Example:
        >>> import numpy as np
        >>> import keras_nnx as nnx
        >>> nnx.blocks.InvertedResidualBlock(24, strides=2)(np.ones((1, 8, 8, 16), "float32")).shape
        TensorShape([1, 4, 4, 24])

    Source:
        Sandler et al., "MobileNetV2" (2018), figure 3; Tan and Le, "EfficientNet" (2019); fused, "EfficientNetV2"
        (2021), figure 2.
    """

    def __init__(
        self,
        filters: int,
        expansion: int = 6,
        kernel_size: int = 3,
        strides: int = 1,
        squeeze: float | None = 0.25,
        fused: bool = False,
        activation: Any = "silu",
        stochastic_depth: float = 0.0,
        momentum: float = 0.9,
        epsilon: float = 1e-3,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters = _checks.positive_integer(_OWNER, "filters", filters)
        self.expansion = _checks.positive_integer(_OWNER, "expansion", expansion)
        self.kernel_size = _checks.positive_integer(_OWNER, "kernel_size", kernel_size)
        self.strides = _checks.positive_integer(_OWNER, "strides", strides)
        self.squeeze = None if squeeze is None else _checks.share(_OWNER, "squeeze", squeeze)
        self.fused = fused
        self.activation = keras.activations.get(activation)
        self.stochastic_depth = _checks.probability(_OWNER, "stochastic_depth", stochastic_depth)
        self.momentum = _checks.probability(_OWNER, "momentum", momentum)
        self.epsilon = _checks.positive_number(_OWNER, "epsilon", epsilon)
        self.seed = seed

    def build(self, input_shape: tuple) -> None:
        _checks.rank(_OWNER, input_shape, "b h w c")
        channels = _checks.last_axis(_OWNER, input_shape)
        wide, output_shape = self.expansion * channels, self.compute_output_shape(input_shape)
        self.steps: list[keras.layers.Layer] = []
        shape = input_shape
        if self.fused:
            whole = self.filters if self.expansion == 1 else wide
            shape = self._add(self._convolution(whole, self.kernel_size, self.strides, "convolution"), shape)
        else:
            if self.expansion > 1:
                shape = self._add(self._convolution(wide, 1, 1, "widen"), shape)
            shape = self._add(self._depthwise(), shape)
        if self.squeeze is not None:
            ratio = min(1.0, self.squeeze * channels / shape[-1])
            gate = SqueezeExcite(ratio, self.activation, name="gate", dtype=self.dtype_policy)
            shape = add_step(self, self.steps, gate, shape)
        if not (self.fused and self.expansion == 1):
            self._add(self._convolution(self.filters, 1, 1, "narrow"), shape, activated=False)
        self.adds = self.strides == 1 and channels == self.filters
        self.depth = StochasticDepth(self.stochastic_depth, seed=self.seed, name="depth", dtype=self.dtype_policy)
        self.depth.build(output_shape)

    def call(self, inputs: Any, training: bool | None = None) -> Any:  # b h w c -> b h/s w/s filters
        x = run_steps(self.steps, inputs, training)
        return inputs + self.depth(x, training=training) if self.adds else x

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        batch, *sides, _ = input_shape
        sides = [None if side is None else -(-side // self.strides) for side in sides]
        return batch, *sides, self.filters

    def get_config(self) -> dict[str, Any]:
        names = ("filters", "expansion", "kernel_size", "strides", "squeeze", "fused", "stochastic_depth", "momentum")
        return {
            **super().get_config(),
            **{name: getattr(self, name) for name in names},
            "activation": keras.activations.serialize(self.activation),
            "epsilon": self.epsilon,
            "seed": self.seed,
        }

    def _add(self, layer: keras.layers.Layer, shape: tuple, activated: bool = True) -> tuple:
        """Put a convolution behind the other steps, normalised and activated, and return the shape that it gives."""
        steps = [layer, normalization(self, f"{layer.name}_normalization")]
        for step in [*steps, activation(self, f"{layer.name}_activation")] if activated else steps:
            shape = add_step(self, self.steps, step, shape)
        return shape

    def _convolution(self, filters: int, kernel_size: int, strides: int, name: str) -> keras.layers.Layer:
        return keras.layers.Conv2D(
            filters,
            kernel_size,
            strides=strides,
            padding="same",
            use_bias=False,
            data_format="channels_last",
            kernel_initializer="he_normal",
            dtype=self.dtype_policy,
            name=name,
        )

    def _depthwise(self) -> keras.layers.Layer:
        return keras.layers.DepthwiseConv2D(
            self.kernel_size,
            strides=self.strides,
            padding="same",
            use_bias=False,
            data_format="channels_last",
            depthwise_initializer="he_normal",
            dtype=self.dtype_policy,
            name="depthwise",
        )
