"""The block of a DCGAN's discriminator."""

from __future__ import annotations

from typing import Any

import keras

from keras_nnx._registration import register
from keras_nnx.blocks._adversarial import arguments_of, build_steps, keep_arguments
from keras_nnx.blocks._steps import run_steps


@register
class StridedConvolutionBlock(keras.layers.Layer):
    """A convolution that makes an image smaller, a normalisation and a leaky activation.

    Args:
        filters: Number of output channels.
        kernel_size: Side of the convolution in pixels; a multiple of `strides` sees every pixel equally often.
        strides: Its step; 2 halves height and width.
        normalization: `"batch"` behind the convolution, `"spectral"` of its kernel, or None. The first block of a
            discriminator has none, and with a gradient penalty there is no `"batch"`.
        activation: Name or function. Default: `"leaky_relu"`, with a slope of 0.2.
        momentum: Share of the old value in the moving statistics of `"batch"`, in [0, 1).
        epsilon: Added to their variance, over 0.
        **kwargs: `name`, `dtype` and the like, as in `keras.layers.Layer`.

    Input shape:
        `(b, h, w, c)`; `h` and `w` may be unknown. Images carry no mask.

    Output shape:
        `(b, ceil(h / strides), ceil(w / strides), filters)`.

    Raises:
        ValueError: If an argument is unknown or out of its range, the input has no four axes, or its channels are
            unknown.

    Example:
        >>> import numpy as np
        >>> import keras_nnx as nnx
        >>> nnx.blocks.StridedConvolutionBlock(16)(np.ones((1, 8, 8, 3), "float32")).shape
        TensorShape([1, 4, 4, 16])

    Source:
        Radford et al., "Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks"
        (2016), section 3, with the initialisation of its section 4.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int = 4,
        strides: int = 2,
        normalization: str | None = "batch",
        activation: Any = "leaky_relu",
        momentum: float = 0.9,
        epsilon: float = 1e-3,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        keep_arguments(self, locals())

    def build(self, input_shape: tuple) -> None:
        build_steps(self, input_shape, keras.layers.Conv2D)

    def call(self, inputs: Any, training: bool | None = None) -> Any:  # b h w c -> b h/s w/s filters
        return run_steps(self.steps, inputs, training)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        batch, *sides, _ = input_shape
        return batch, *(None if side is None else -(-side // self.strides) for side in sides), self.filters

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **arguments_of(self)}
