"""The residual block of a generator."""

from __future__ import annotations

from typing import Any

import keras

from keras_nnx import _checks
from keras_nnx._registration import register
from keras_nnx.blocks._steps import activation, normalization
from keras_nnx.blocks.unet import doubled
from keras_nnx.layers import ConditionalBatchNormalization
from keras_nnx.layers._labels import check_labels_given

_OWNER = "GeneratorResidualBlock"


@register
class GeneratorResidualBlock(keras.layers.Layer):
    """Normalises, activates, enlarges and convolves, twice but for the enlarging, beside an enlarged input.

    With classes both normalisations have a scale and a shift for each of them.

    Args:
        filters: Number of output channels.
        upsample: Whether height and width are doubled, each pixel becoming four.
        num_classes: Number of classes; None for a block without labels.
        kernel_size: Side of both convolutions in pixels.
        activation: Name or function. Default: `"relu"`.
        momentum: Share of the old value in the moving statistics of the normalisations, in [0, 1).
        epsilon: Added to their variance, over 0.
        **kwargs: `name`, `dtype` and the like, as in `keras.layers.Layer`.

    Call arguments:
        inputs: `(b, h, w, c)`.
        labels: `(b)` or `(b, 1)`, whole numbers from 0 to `num_classes - 1`; None without classes.

    Input shape:
        `(b, h, w, c)`, and `(b)` or `(b, 1)`; `h` and `w` may be unknown. Images carry no mask.

    Output shape:
        `(b, 2 * h, 2 * w, filters)`, or with the sides of the input if it does not upsample.

    Raises:
        ValueError: If an argument is out of its range, labels are missing or not expected, an input has another number
            of axes, or its channels are unknown.

    Example:
        >>> import numpy as np
        >>> import keras_nnx as nnx
        >>> block = nnx.blocks.GeneratorResidualBlock(16, num_classes=10)
        >>> block(np.ones((2, 4, 4, 32), "float32"), np.array([3, 7])).shape
        TensorShape([2, 8, 8, 16])

    Source:
        Miyato et al., "Spectral Normalization for Generative Adversarial Networks" (2018), table 4 and figure 9; with
        classes, Miyato and Koyama, "cGANs with Projection Discriminator" (2018), section A.3.
    """

    def __init__(
        self,
        filters: int,
        upsample: bool = True,
        num_classes: int | None = None,
        kernel_size: int = 3,
        activation: Any = "relu",
        momentum: float = 0.9,
        epsilon: float = 1e-3,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters = _checks.positive_integer(_OWNER, "filters", filters)
        self.upsample = upsample
        self.num_classes = _checks.optional_positive_integer(_OWNER, "num_classes", num_classes)
        self.kernel_size = _checks.positive_integer(_OWNER, "kernel_size", kernel_size)
        self.activation = keras.activations.get(activation)
        self.momentum = _checks.probability(_OWNER, "momentum", momentum)
        self.epsilon = _checks.positive_number(_OWNER, "epsilon", epsilon)

    def build(self, inputs_shape: tuple, labels_shape: tuple | None = None) -> None:
        _checks.rank(_OWNER, inputs_shape, "b h w c")
        channels = _checks.last_axis(_OWNER, inputs_shape)
        check_labels_given(_OWNER, self.num_classes, labels_shape)
        large = self.compute_output_shape(inputs_shape)
        self.normalization_1 = self._normalization(1, inputs_shape, labels_shape)
        self.activation_1 = activation(self, "activation_1")
        self.convolution_1 = self._convolution(self.kernel_size, "convolution_1", (*large[:-1], channels), False)
        self.normalization_2 = self._normalization(2, large, labels_shape)
        self.activation_2 = activation(self, "activation_2")
        self.convolution_2 = self._convolution(self.kernel_size, "convolution_2", large)
        for layer in (self.activation_1, self.activation_2):
            layer.build(large)
        self.projects = self.upsample or channels != self.filters
        if self.projects:
            self.shortcut = self._convolution(1, "shortcut", (*large[:-1], channels))

    def call(self, inputs: Any, labels: Any = None, training: bool | None = None) -> Any:
        # b h w c, b -> b 2h 2w filters
        check_labels_given(_OWNER, self.num_classes, None if labels is None else labels.shape)
        given = () if labels is None else (labels,)
        x = self.activation_1(self.normalization_1(inputs, *given, training=training))
        x = self.convolution_1(self._enlarged(x))
        x = self.activation_2(self.normalization_2(x, *given, training=training))
        past = self._enlarged(inputs)
        return self.convolution_2(x) + (self.shortcut(past) if self.projects else past)

    def compute_output_shape(self, inputs_shape: tuple, labels_shape: tuple | None = None) -> tuple:
        batch, *sides, _ = inputs_shape
        factor = 2 if self.upsample else 1
        return batch, *(None if side is None else factor * side for side in sides), self.filters

    def get_config(self) -> dict[str, Any]:
        names = ("filters", "upsample", "num_classes", "kernel_size", "momentum", "epsilon")
        return {
            **super().get_config(),
            **{name: getattr(self, name) for name in names},
            "activation": keras.activations.serialize(self.activation),
        }

    def _normalization(self, number: int, shape: tuple, labels_shape: tuple | None) -> keras.layers.Layer:
        name = f"normalization_{number}"
        if self.num_classes is None or labels_shape is None:
            layer = normalization(self, name)
            layer.build(shape)
            return layer
        more = {"dtype": self.dtype_policy, "name": name}
        layer = ConditionalBatchNormalization(self.num_classes, self.momentum, self.epsilon, **more)
        layer.build(shape, labels_shape)
        return layer

    def _convolution(self, size: int, name: str, shape: tuple, use_bias: bool = True) -> keras.layers.Layer:
        layer = keras.layers.Conv2D(
            self.filters,
            size,
            padding="same",
            use_bias=use_bias,
            data_format="channels_last",
            dtype=self.dtype_policy,
            name=name,
        )
        layer.build(shape)
        return layer

    def _enlarged(self, x: Any) -> Any:
        return doubled(x, "nearest") if self.upsample else x
