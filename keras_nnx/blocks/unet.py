"""The two halves of a U-Net."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_nnx import _checks
from keras_nnx._registration import register
from keras_nnx.blocks._steps import activation, add_step, convolution, normalization, run_steps

_ARGUMENTS = ("filters", "kernel_size", "momentum", "epsilon")


def _keep(block: Any, filters: int, kernel_size: int, activation: Any, momentum: float, epsilon: float) -> None:
    owner = type(block).__name__
    block.filters = _checks.positive_integer(owner, "filters", filters)
    block.kernel_size = _checks.odd(owner, "kernel_size", kernel_size)
    block.activation = keras.activations.get(activation)
    block.momentum = _checks.probability(owner, "momentum", momentum)
    block.epsilon = _checks.positive_number(owner, "epsilon", epsilon)


def _config(block: Any) -> dict[str, Any]:
    values = {name: getattr(block, name) for name in _ARGUMENTS}
    return {**values, "activation": keras.activations.serialize(block.activation)}


def _build_convolutions(block: Any, shape: tuple) -> None:
    """Give `block` two convolutions, each normalised and activated."""
    block.steps = []
    for number in (1, 2):
        steps = [
            *convolution(block, f"convolution_{number}", block.filters, block.kernel_size),
            normalization(block, f"normalization_{number}"),
            activation(block, f"activation_{number}"),
        ]
        for step in steps:
            shape = add_step(block, block.steps, step, shape)


@register
class UNetEncoderBlock(keras.layers.Layer):
    """Halves an image by its maxima, then two convolutions, each normalised and activated.

    What it gives goes on to the next block and, later, to the decoder block of its size.

    Args:
        filters: Number of output channels.
        kernel_size: Side of both convolutions, odd.
        halve: Whether the image gets smaller; the first block keeps the size.
        activation: Name or function. Default: `"relu"`.
        momentum: Share of the old value in the moving statistics of the normalisations, in [0, 1).
        epsilon: Added to their variance, over 0.
        **kwargs: `name`, `dtype` and the like, as in `keras.layers.Layer`.

    Input shape:
        `(b, h, w, c)`; `h` and `w` may be unknown. Images carry no mask.

    Output shape:
        `(b, ceil(h / 2), ceil(w / 2), filters)`, or with the sides of the input if it does not halve.

    Raises:
        ValueError: If an argument is out of its range, the input has no four axes, or its channels are unknown.

    Example:
        >>> import numpy as np
        >>> import keras_nnx as nnx
        >>> nnx.blocks.UNetEncoderBlock(16)(np.ones((1, 8, 8, 3), "float32")).shape
        TensorShape([1, 4, 4, 16])

    Source:
        Ronneberger et al., "U-Net" (2015), figure 1, left, with padding and batch normalisation.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int = 3,
        halve: bool = True,
        activation: Any = "relu",
        momentum: float = 0.9,
        epsilon: float = 1e-3,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        _keep(self, filters, kernel_size, activation, momentum, epsilon)
        self.halve = halve

    def build(self, input_shape: tuple) -> None:
        _checks.rank("UNetEncoderBlock", input_shape, "b h w c")
        _checks.last_axis("UNetEncoderBlock", input_shape)
        self.maxima = keras.layers.MaxPooling2D(
            2 if self.halve else 1, padding="same", data_format="channels_last", dtype=self.dtype_policy, name="maxima"
        )
        self.maxima.build(input_shape)
        _build_convolutions(self, self.maxima.compute_output_shape(input_shape))

    def call(self, inputs: Any, training: bool | None = None) -> Any:  # b h w c -> b h/2 w/2 filters
        x = self.maxima(inputs) if self.halve else inputs
        return run_steps(self.steps, x, training)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        batch, *sides, _ = input_shape
        step = 2 if self.halve else 1
        return batch, *(None if side is None else -(-side // step) for side in sides), self.filters

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **_config(self), "halve": self.halve}


@register
class UNetDecoderBlock(keras.layers.Layer):
    """Doubles the sides of an image, puts the one of the encoder beside it, then two convolutions.

    Args:
        filters: Number of output channels.
        kernel_size: Side of both convolutions, odd.
        interpolation: How pixels are made: `"bilinear"` or `"nearest"`; neither leaves the checkerboard of transposed
            convolutions.
        activation: Name or function. Default: `"relu"`.
        momentum: Share of the old value in the moving statistics of the normalisations, in [0, 1).
        epsilon: Added to their variance, over 0.
        **kwargs: `name`, `dtype` and the like, as in `keras.layers.Layer`.

    Call arguments:
        inputs: `(b, h, w, c)`, what the smaller block gave.
        skip: `(b, H, W, e)`, what the encoder block of this size gave.

    Input shape:
        `(b, h, w, c)` and `(b, H, W, e)`, where `H` is twice `h` or one less, and so is `W`; the sides may be unknown.
        Images carry no mask.

    Output shape:
        `(b, H, W, filters)`.

    Raises:
        ValueError: If an argument is out of its range, an input has no four axes, its channels are unknown, or a known
            side of `skip` does not fit.

    Example:
        >>> import numpy as np
        >>> import keras_nnx as nnx
        >>> small, skip = np.ones((1, 4, 4, 32), "float32"), np.ones((1, 7, 8, 16), "float32")
        >>> nnx.blocks.UNetDecoderBlock(16)(small, skip).shape
        TensorShape([1, 7, 8, 16])

    Source:
        Ronneberger et al., "U-Net" (2015), figure 1, right, with interpolation and batch normalisation; interpolation
        after Odena et al., "Deconvolution and Checkerboard Artifacts" (2016).
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int = 3,
        interpolation: str = "bilinear",
        activation: Any = "relu",
        momentum: float = 0.9,
        epsilon: float = 1e-3,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        _keep(self, filters, kernel_size, activation, momentum, epsilon)
        known = ("bilinear", "nearest")
        self.interpolation = _checks.one_of("UNetDecoderBlock", "interpolation", interpolation, known)

    def build(self, inputs_shape: tuple, skip_shape: tuple) -> None:
        for shape in (inputs_shape, skip_shape):
            _checks.rank("UNetDecoderBlock", shape, "b h w c")
            _checks.last_axis("UNetDecoderBlock", shape)
        _check_sides(inputs_shape, skip_shape)
        _build_convolutions(self, (*skip_shape[:-1], inputs_shape[-1] + skip_shape[-1]))

    def call(self, inputs: Any, skip: Any, training: bool | None = None) -> Any:  # b h w c, b H W e -> b H W filters
        _check_sides(inputs.shape, skip.shape)
        height, width = ops.shape(skip)[1:3]
        large = doubled(ops.cast(inputs, self.compute_dtype), self.interpolation)[:, :height, :width]
        x = ops.concatenate([large, ops.cast(skip, self.compute_dtype)], axis=-1)
        return run_steps(self.steps, x, training)

    def compute_output_shape(self, inputs_shape: tuple, skip_shape: tuple) -> tuple:
        return (*skip_shape[:-1], self.filters)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **_config(self), "interpolation": self.interpolation}


def doubled(images: Any, interpolation: str) -> Any:  # b h w c -> b 2h 2w c
    """Return images of twice the height and width; sizes may be unknown, which `ops.image.resize` does not take."""
    if interpolation == "nearest":  # XLA has no gradient for the one that resizes
        return ops.repeat(ops.repeat(images, 2, axis=1), 2, axis=2)
    height, width = images.shape[1:3]
    if height is not None and width is not None:
        size = (2 * height, 2 * width)
        return ops.image.resize(images, size, interpolation=interpolation, data_format="channels_last")
    return ops.transpose(_between(ops.transpose(_between(images), (0, 2, 1, 3))), (0, 2, 1, 3))


def _between(images: Any) -> Any:  # b h w c -> b 2h w c
    """Return two rows for each: a quarter of the way to the one before, and to the one behind."""
    before = ops.concatenate([images[:, :1], images[:, :-1]], axis=1)
    behind = ops.concatenate([images[:, 1:], images[:, -1:]], axis=1)
    pairs = ops.stack([0.75 * images + 0.25 * before, 0.75 * images + 0.25 * behind], axis=2)
    batch, height, width = ops.shape(images)[:3]
    return ops.reshape(pairs, (batch, 2 * height, width, images.shape[-1]))


def _check_sides(small: tuple, skip: tuple) -> None:
    for axis, side, wanted in zip(("height", "width"), small[1:3], skip[1:3], strict=True):
        if side is not None and wanted is not None and wanted not in (2 * side - 1, 2 * side):
            raise ValueError(
                f"UNetDecoderBlock doubles the {axis} {side} and received a skip of {wanted}: hand it the output of "
                f"the encoder block before the one that halved."
            )
