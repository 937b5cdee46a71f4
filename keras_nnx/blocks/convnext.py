"""The ConvNeXt block, first and second version."""

from __future__ import annotations

from typing import Any

import keras

from keras_nnx import _checks
from keras_nnx._registration import register
from keras_nnx.layers import GlobalResponseNormalization, LayerScale, StochasticDepth

_OWNER = "ConvNeXtBlock"


@register
class ConvNeXtBlock(keras.layers.Layer):
    """A wide depthwise convolution, normalised, and a network on every pixel, added to the input.

    Args:
        expansion: Width of the network over the number of channels.
        kernel_size: Side of the depthwise convolution.
        layer_scale: What the gain of the branch starts as; None for no gain, as in the second version.
        response_normalization: Whether the wide activation goes through `GlobalResponseNormalization`, as in the second
            version.
        activation: Activation of the network. Default: exact `"gelu"`.
        stochastic_depth: Probability that an example skips the branch in training, in [0, 1).
        epsilon: Added to the variance in the normalisation, over 0.
        seed: Seed of the skipping.
        **kwargs: `name`, `dtype` and the like, as in `keras.layers.Layer`.

    Input shape:
        `(b, h, w, c)`; `h` and `w` may be unknown. Images carry no mask.

    Output shape:
        As the input.

    Raises:
        ValueError: If an argument is out of its range, the input has no four axes, or its channels are unknown.

    Example:
        >>> import numpy as np
        >>> import keras_nnx as nnx
        >>> nnx.blocks.ConvNeXtBlock()(np.ones((1, 8, 8, 16), "float32")).shape
        TensorShape([1, 8, 8, 16])

    Source:
        Liu et al., "A ConvNet for the 2020s" (2022), figure 4; Woo et al., "ConvNeXt V2" (2023), figure 5.
    """

    def __init__(
        self,
        expansion: int = 4,
        kernel_size: int = 7,
        layer_scale: float | None = 1e-6,
        response_normalization: bool = False,
        activation: Any = "gelu",
        stochastic_depth: float = 0.0,
        epsilon: float = 1e-6,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.expansion = _checks.positive_integer(_OWNER, "expansion", expansion)
        self.kernel_size = _checks.positive_integer(_OWNER, "kernel_size", kernel_size)
        if layer_scale is not None:
            _checks.positive_number(_OWNER, "layer_scale", layer_scale)
        self.layer_scale, self.response_normalization = layer_scale, response_normalization
        self.activation = keras.activations.get(activation)
        self.stochastic_depth = _checks.probability(_OWNER, "stochastic_depth", stochastic_depth)
        self.epsilon = _checks.positive_number(_OWNER, "epsilon", epsilon)
        self.seed = seed

    def build(self, input_shape: tuple) -> None:
        _checks.rank(_OWNER, input_shape, "b h w c")
        channels = _checks.last_axis(_OWNER, input_shape)
        common = {"dtype": self.dtype_policy}
        wide = (*input_shape[:-1], self.expansion * channels)
        self.depthwise = keras.layers.DepthwiseConv2D(
            self.kernel_size, padding="same", data_format="channels_last", name="depthwise", **common
        )
        self.normalization = keras.layers.LayerNormalization(epsilon=self.epsilon, name="normalization", **common)
        self.widen = keras.layers.Dense(wide[-1], activation=self.activation, name="widen", **common)
        self.narrow = keras.layers.Dense(channels, name="narrow", **common)
        self.depth = StochasticDepth(self.stochastic_depth, seed=self.seed, name="depth", **common)
        self.depthwise.build(input_shape)
        self.normalization.build(input_shape)
        self.widen.build(input_shape)
        self.narrow.build(wide)
        self.depth.build(input_shape)
        if self.response_normalization:
            self.response = GlobalResponseNormalization(name="response", **common)
            self.response.build(wide)
        if self.layer_scale is not None:
            self.scale = LayerScale(self.layer_scale, name="scale", **common)
            self.scale.build(input_shape)

    def call(self, inputs: Any, training: bool | None = None) -> Any:  # b h w c -> b h w c
        x = self.widen(self.normalization(self.depthwise(inputs)))
        if self.response_normalization:
            x = self.response(x)
        x = self.narrow(x)
        if self.layer_scale is not None:
            x = self.scale(x)
        return inputs + self.depth(x, training=training)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        names = ("expansion", "kernel_size", "layer_scale", "response_normalization", "stochastic_depth", "epsilon")
        return {
            **super().get_config(),
            **{name: getattr(self, name) for name in names},
            "activation": keras.activations.serialize(self.activation),
            "seed": self.seed,
        }
