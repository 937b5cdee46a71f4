"""The bottleneck block of a ResNet."""

from __future__ import annotations

from typing import Any

import keras

from keras_nnx import _checks
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
class BottleneckBlock(keras.layers.Layer):
    """A convolution between two of 1 x 1, which narrow and widen, added to the input.

    Args:
        filters: Number of output channels.
        inner_filters: Number of channels between. Default: a quarter of `filters`.
        groups: Groups of the convolution between, as in ResNeXt; has to divide `inner_filters`.
        kernel_size: Side of the convolution between.
        strides: Step of the block; 2 halves height and width.
        strides_first: Whether the first convolution strides, as in the paper and in `keras.applications`, and not the
            one between, which sees every pixel.
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
        ValueError: If an argument is out of its range, `groups` does not divide `inner_filters`, the input has no four
            axes, or the number of its channels is unknown.

    Example:
        >>> import numpy as np
        >>> import keras_nnx as nnx
        >>> nnx.blocks.BottleneckBlock(32, strides=2)(np.ones((1, 8, 8, 3), "float32")).shape
        TensorShape([1, 4, 4, 32])

    Source:
        He et al., "Deep Residual Learning for Image Recognition" (2016), figure 5; groups, Xie et al., "Aggregated
        Residual Transformations for Deep Neural Networks" (2017), figure 3c; the gate, Hu et al.,
        "Squeeze-and-Excitation Networks" (2018), figure 3.
    """

    def __init__(
        self,
        filters: int,
        inner_filters: int | None = None,
        groups: int = 1,
        kernel_size: int = 3,
        strides: int = 1,
        strides_first: bool = False,
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
        self.inner_filters = _checks.optional_positive_integer("BottleneckBlock", "inner_filters", inner_filters)
        self.groups = _checks.positive_integer("BottleneckBlock", "groups", groups)
        self.strides_first = strides_first
        if self._inner % self.groups:
            raise ValueError(
                f"BottleneckBlock(groups={groups}) cannot split {self._inner} inner channels evenly: choose a number "
                f"that divides {self._inner}."
            )

    def build(self, input_shape: tuple) -> None:
        before, between = (self.strides, 1) if self.strides_first else (1, self.strides)
        plan = [
            Planned(self._inner, 1, before),
            Planned(self._inner, self.kernel_size, between, self.groups),
            Planned(self.filters, 1),
        ]
        build_residual(self, input_shape, plan)

    def call(self, inputs: Any, training: bool | None = None) -> Any:  # b h w c -> b h/s w/s filters
        return call_residual(self, inputs, training)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return residual_shape(self, input_shape)

    def get_config(self) -> dict[str, Any]:
        names = ("inner_filters", "groups", "strides_first")
        return {**super().get_config(), **arguments_of(self), **{name: getattr(self, name) for name in names}}

    @property
    def _inner(self) -> int:
        return self.inner_filters or max(1, self.filters // 4)
