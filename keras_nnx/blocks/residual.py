"""The basic residual block of a ResNet."""

from __future__ import annotations

from typing import Any

import keras

from keras_nnx._registration import register
from keras_nnx.blocks._residual import (
    ARGUMENTS,
    Planned,
    arguments_of,
    build_residual,
    call_residual,
    keep_arguments,
    residual_shape,
)


@register
class ResidualBlock(keras.layers.Layer):
    """Two convolutions whose result is added to their input.

    Convolution, normalisation, activation, convolution, normalisation, sum, activation. Where the sum would not fit (a
    stride, or another number of channels), a 1 x 1 convolution brings the input into shape.

    Args:
        filters: Number of output channels.
        kernel_size: Side of both convolutions in pixels.
        strides: Step of the first convolution; 2 halves height and width.
        order: `"post"` normalises and activates after each convolution, and after the sum; `"pre"` before each
            convolution, as in the second version of the paper, so that the sum goes on as it is.
        shortcut: How a projection strides: `"projection"` skips pixels, `"average"` averages them first (ResNet-D).
        squeeze: Width of a `SqueezeExcite` on the branch over its channels, in (0, 1]; None for none.
        activation: Name or function. Default: `"relu"`.
        stochastic_depth: Probability that an example skips the branch in training, in [0, 1).
        momentum: Share of the old value in the moving statistics of the normalisations, in [0, 1).
        epsilon: Added to their variance, over 0.
        seed: Seed of the skipping.
        **kwargs: `name`, `dtype` and the like, as in `keras.layers.Layer`.

    Input shape:
        `(b, h, w, c)`, channels last; `h` and `w` may be unknown.

    Output shape:
        `(b, ceil(h / strides), ceil(w / strides), filters)`. Images carry no mask.

    Raises:
        ValueError: If an argument is out of its range, the input has no four axes, or the number of its channels is
            unknown.

    Example:
        >>> import numpy as np
        >>> import keras_nnx as nnx
        >>> nnx.blocks.ResidualBlock(16, strides=2)(np.ones((1, 8, 8, 3), "float32")).shape
        TensorShape([1, 4, 4, 16])

    Source:
        He et al., "Deep Residual Learning for Image Recognition" (2016), figure 2, shortcut B; `"pre"`, He et al.,
        "Identity Mappings in Deep Residual Networks" (2016), figure 4e; `"average"`, He et al., "Bag of Tricks for
        Image Classification" (2019), figure 2c.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int = 3,
        strides: int = 1,
        order: str = "post",
        shortcut: str = "projection",
        squeeze: float | None = None,
        activation: Any = "relu",
        stochastic_depth: float = 0.0,
        momentum: float = 0.9,
        epsilon: float = 1e-3,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        keep_arguments(self, {name: value for name, value in locals().items() if name in ARGUMENTS})

    def build(self, input_shape: tuple) -> None:
        first = Planned(self.filters, self.kernel_size, self.strides)
        build_residual(self, input_shape, [first, Planned(self.filters, self.kernel_size)])

    def call(self, inputs: Any, training: bool | None = None) -> Any:  # b h w c -> b h/s w/s filters
        return call_residual(self, inputs, training)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return residual_shape(self, input_shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **arguments_of(self)}
