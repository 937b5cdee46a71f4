"""The residual block of a discriminator."""

from __future__ import annotations

from typing import Any

import keras

from keras_nnx import _checks
from keras_nnx._registration import register
from keras_nnx.blocks._steps import activation, add_step, run_steps, spectral

_OWNER = "DiscriminatorResidualBlock"
_POSITIONS = ("first", "inner")
_NORMALIZATIONS = ("spectral", None)


@register
class DiscriminatorResidualBlock(keras.layers.Layer):
    """Activates and convolves twice, and averages squares of four pixels, beside an averaged input.

    Nothing is normalised over the batch, so that the block suits gradient penalties.

    Args:
        filters: Number of output channels.
        downsample: Whether height and width are halved.
        position: `"first"` for the block that sees the images: it does not activate them, and averages before it
            projects; `"inner"` for all others.
        normalization: `"spectral"` normalises the kernels; None leaves them.
        kernel_size: Side of both convolutions in pixels.
        activation: Name or function. Default: `"relu"`.
        **kwargs: `name`, `dtype` and the like, as in `keras.layers.Layer`.

    Input shape:
        `(b, h, w, c)`; `h` and `w` may be unknown. Images carry no mask.

    Output shape:
        `(b, ceil(h / 2), ceil(w / 2), filters)`, or with the sides of the input if it does not downsample.

    Raises:
        ValueError: If an argument is unknown or out of its range, the input has no four axes, or its channels are
            unknown.

    Example:
        >>> import numpy as np
        >>> import keras_nnx as nnx
        >>> nnx.blocks.DiscriminatorResidualBlock(16, position="first")(np.ones((1, 8, 8, 3), "float32")).shape
        TensorShape([1, 4, 4, 16])

    Source:
        Miyato et al., "Spectral Normalization for Generative Adversarial Networks" (2018), table 4; the first block,
        Gulrajani et al., "Improved Training of Wasserstein GANs" (2017), section F.
    """

    def __init__(
        self,
        filters: int,
        downsample: bool = True,
        position: str = "inner",
        normalization: str | None = "spectral",
        kernel_size: int = 3,
        activation: Any = "relu",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters = _checks.positive_integer(_OWNER, "filters", filters)
        self.downsample = downsample
        self.position = _checks.one_of(_OWNER, "position", position, _POSITIONS)
        self.normalization = _checks.one_of(_OWNER, "normalization", normalization, _NORMALIZATIONS)
        self.kernel_size = _checks.positive_integer(_OWNER, "kernel_size", kernel_size)
        self.activation = keras.activations.get(activation)

    def build(self, input_shape: tuple) -> None:
        _checks.rank(_OWNER, input_shape, "b h w c")
        channels = _checks.last_axis(_OWNER, input_shape)
        branch = [] if self.position == "first" else [activation(self, "activation_1")]
        branch += [self._convolution(self.kernel_size, "convolution_1"), activation(self, "activation_2")]
        branch += [self._convolution(self.kernel_size, "convolution_2")]
        beside = []
        if self.position == "first" or self.downsample or channels != self.filters:
            beside.append(self._convolution(1, "shortcut"))
        if self.downsample:
            branch.append(self._pool("pool"))
            beside.insert(0 if self.position == "first" else 1, self._pool("shortcut_pool"))
        self.branch: list[keras.layers.Layer] = []
        self.beside: list[keras.layers.Layer] = []
        for steps, layers in ((self.branch, branch), (self.beside, beside)):
            shape = input_shape
            for layer in layers:
                shape = add_step(self, steps, layer, shape)

    def call(self, inputs: Any, training: bool | None = None) -> Any:  # b h w c -> b h/2 w/2 filters
        return run_steps(self.branch, inputs, training) + run_steps(self.beside, inputs, training)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        batch, *sides, _ = input_shape
        step = 2 if self.downsample else 1
        return batch, *(None if side is None else -(-side // step) for side in sides), self.filters

    def get_config(self) -> dict[str, Any]:
        names = ("filters", "downsample", "position", "normalization", "kernel_size")
        return {
            **super().get_config(),
            **{name: getattr(self, name) for name in names},
            "activation": keras.activations.serialize(self.activation),
        }

    def _convolution(self, size: int, name: str) -> keras.layers.Layer:
        layer = keras.layers.Conv2D(
            self.filters, size, padding="same", data_format="channels_last", dtype=self.dtype_policy, name=name
        )
        return spectral(self, layer)

    def _pool(self, name: str) -> keras.layers.Layer:
        return keras.layers.AveragePooling2D(
            2, padding="same", data_format="channels_last", dtype=self.dtype_policy, name=name
        )
