"""Dilated convolutions over time."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_nnx import _checks
from keras_nnx._registration import register

_OWNER = "TemporalConvolutionBlock"
_LAYERS = 2


@register
class TemporalConvolutionBlock(keras.layers.Layer):
    """Two dilated convolutions over time, normalised, activated and added to the input.

    Stack it with dilations 1, 2, 4, ... to see far back with few layers. `keras.layers.Conv1D` drops masks, and lets
    padding leak into its neighbours; this block holds padding at zero and passes the mask on.

    Args:
        filters: Number of output features.
        kernel_size: How many steps one convolution looks at.
        dilation: How many steps lie between those.
        causal: Whether a step sees itself and earlier ones only; else as many on both sides.
        activation: Activation behind each convolution. Default: `"relu"`.
        dropout: Fraction of features dropped in training behind each activation, in [0, 1).
        epsilon: Added to the variance in the layer normalisations, over 0; None for no normalisation.
        seed: Seed of the dropout.
        **kwargs: `name`, `dtype` and the like, as in `keras.layers.Layer`.

    Input shape:
        `(b, t, d)`; `t` may be unknown.

    Output shape:
        `(b, t, filters)`. What is padding by a mask `(b, t)` counts as zero and comes out as zero; the mask is passed
        on.

    Raises:
        ValueError: If an argument is out of its range, the input has no three axes, or `d` is unknown.

    Example:
        >>> import numpy as np
        >>> import keras_nnx as nnx
        >>> nnx.blocks.TemporalConvolutionBlock(16, dilation=4)(np.ones((2, 20, 3), "float32")).shape
        TensorShape([2, 20, 16])

    Source:
        Bai et al., "An Empirical Evaluation of Generic Convolutional and Recurrent Networks for Sequence Modeling"
        (2018), figure 1b, with layer normalisation in the place of weight normalisation.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int = 3,
        dilation: int = 1,
        causal: bool = True,
        activation: Any = "relu",
        dropout: float = 0.0,
        epsilon: float | None = 1e-6,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.filters = _checks.positive_integer(_OWNER, "filters", filters)
        self.kernel_size = _checks.positive_integer(_OWNER, "kernel_size", kernel_size)
        self.dilation = _checks.positive_integer(_OWNER, "dilation", dilation)
        self.causal = causal
        self.activation = keras.activations.get(activation)
        self.dropout = _checks.probability(_OWNER, "dropout", dropout)
        self.epsilon = None if epsilon is None else _checks.positive_number(_OWNER, "epsilon", epsilon)
        self.seed = seed

    def build(self, input_shape: tuple) -> None:
        _checks.rank(_OWNER, input_shape, "b t d")
        dim = _checks.last_axis(_OWNER, input_shape)
        common = {"dtype": self.dtype_policy}
        shape = input_shape
        self.convolutions, self.normalizations, self.drops = [], [], []
        for number in range(1, _LAYERS + 1):
            layer = keras.layers.Conv1D(
                self.filters,
                self.kernel_size,
                dilation_rate=self.dilation,
                padding="causal" if self.causal else "same",
                data_format="channels_last",
                kernel_initializer="he_normal",
                name=f"convolution_{number}",
                **common,
            )
            layer.build(shape)
            shape = (*input_shape[:2], self.filters)
            self.convolutions.append(layer)
            if self.epsilon is not None:
                normalization = keras.layers.LayerNormalization(
                    epsilon=self.epsilon, name=f"normalization_{number}", **common
                )
                normalization.build(shape)
                self.normalizations.append(normalization)
            seed = None if self.seed is None else self.seed + number
            drop = keras.layers.Dropout(self.dropout, seed=seed, name=f"drop_{number}", **common)
            drop.build(shape)
            self.drops.append(drop)
        self.shortcut = None
        if dim != self.filters:
            self.shortcut = keras.layers.Dense(self.filters, name="shortcut", **common)
            self.shortcut.build(input_shape)

    def call(self, inputs: Any, mask: Any = None, training: bool | None = None) -> Any:  # b t d -> b t filters
        valid = None if mask is None else ops.cast(ops.expand_dims(mask, -1), self.compute_dtype)
        inputs = _held(ops.cast(inputs, self.compute_dtype), valid)
        x = inputs
        for number, convolution in enumerate(self.convolutions):
            x = convolution(x)
            if self.normalizations:
                x = self.normalizations[number](x)
            x = _held(self.drops[number](self.activation(x), training=training), valid)
        past = inputs if self.shortcut is None else self.shortcut(inputs)
        return _held(self.activation(x + past), valid)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return (*input_shape[:-1], self.filters)

    def get_config(self) -> dict[str, Any]:
        names = ("filters", "kernel_size", "dilation", "causal", "dropout", "epsilon", "seed")
        return {
            **super().get_config(),
            **{name: getattr(self, name) for name in names},
            "activation": keras.activations.serialize(self.activation),
        }


def _held(x: Any, valid: Any) -> Any:
    """Return `x` with zeros for padding."""
    return x if valid is None else x * valid
