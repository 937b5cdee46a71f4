"""Channel gates from what a whole image holds."""

from __future__ import annotations

from typing import Any

import keras

from keras_nnx import _checks
from keras_nnx._registration import register
from keras_nnx.layers._space import mean_over_space


@register
class SqueezeExcite(keras.layers.Layer):
    """Weighs channels by a gate that a small network computes from their means.

    Put it behind the convolutions of a residual branch. Keras has no layer for it.

    Args:
        ratio: Width of the small network over the number of channels, in (0, 1]; it is rounded, and at least one unit.
        activation: Activation between its two layers.
        gate_activation: Activation of the gate.
        **kwargs: `name`, `dtype` and the like, as in `keras.layers.Layer`.

    Input shape:
        `(b, h, w, c)`, or with another number of axes between: `(b, t, c)`, `(b, z, h, w, c)`. `c` has to be known.

    Output shape:
        As the input. A mask `(b, t)` of a sequence keeps padding out of the means, and is passed on.

    Raises:
        ValueError: If `ratio` is outside (0, 1], or the input has fewer than three axes or unknown channels.

    Example:
        >>> import numpy as np
        >>> import keras_nnx as nnx
        >>> nnx.layers.SqueezeExcite(ratio=0.25)(np.ones((1, 4, 4, 16), "float32")).shape
        TensorShape([1, 4, 4, 16])

    Source:
        Hu et al., "Squeeze-and-Excitation Networks" (2018), equations 2 to 4.
    """

    def __init__(
        self, ratio: float = 0.0625, activation: Any = "relu", gate_activation: Any = "sigmoid", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.ratio = _checks.share("SqueezeExcite", "ratio", ratio)
        self.activation = keras.activations.get(activation)
        self.gate_activation = keras.activations.get(gate_activation)

    def build(self, input_shape: tuple) -> None:
        _checks.least_rank("SqueezeExcite", input_shape, 3, "(b, h, w, c) or (b, t, c)")
        channels = _checks.last_axis("SqueezeExcite", input_shape)
        units = max(1, round(channels * self.ratio))
        common = {"dtype": self.dtype_policy}
        self.squeeze = keras.layers.Dense(units, activation=self.activation, name="squeeze", **common)
        self.excite = keras.layers.Dense(channels, activation=self.gate_activation, name="excite", **common)
        ones = (1,) * (len(input_shape) - 2)
        self.squeeze.build((input_shape[0], *ones, channels))
        self.excite.build((input_shape[0], *ones, units))

    def call(self, inputs: Any, mask: Any = None) -> Any:  # b ... c -> b ... c
        return inputs * self.excite(self.squeeze(mean_over_space(inputs, mask)))

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "ratio": self.ratio,
            "activation": keras.activations.serialize(self.activation),
            "gate_activation": keras.activations.serialize(self.gate_activation),
        }
