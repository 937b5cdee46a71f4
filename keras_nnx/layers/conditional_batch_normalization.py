"""Batch normalisation with a scale and a shift for each class."""

from __future__ import annotations

from typing import Any

import keras

from keras_nnx import _checks
from keras_nnx._registration import register
from keras_nnx.layers._labels import check_labels, flat

_OWNER = "ConditionalBatchNormalization"


@register
class ConditionalBatchNormalization(keras.layers.Layer):
    """Normalises over the batch, and scales and shifts each example by what is learned for its class.

    Use it in a conditional generator in the place of `keras.layers.BatchNormalization`, which has one scale for all.

    Args:
        num_classes: Number of classes; labels go from 0 to `num_classes - 1`.
        momentum: Share of the old value in the moving statistics, in [0, 1).
        epsilon: Added to the variance, over 0.
        **kwargs: `name`, `dtype` and the like, as in `keras.layers.Layer`.

    Call arguments:
        inputs: `(b, d)` or `(b, h, w, c)`.
        labels: `(b)` or `(b, 1)`, whole numbers.

    Input shape:
        `(b, d)` or `(b, h, w, c)`, and `(b)` or `(b, 1)`; the last axis of `inputs` has to be known. No mask is used.

    Output shape:
        As `inputs`.

    Raises:
        ValueError: If an argument is out of its range, or an input has another shape.

    Example:
        >>> import numpy as np
        >>> import keras_nnx as nnx
        >>> layer = nnx.layers.ConditionalBatchNormalization(10)
        >>> layer(np.ones((2, 8, 8, 3), "float32"), np.array([3, 7])).shape
        TensorShape([2, 8, 8, 3])

    Source:
        Dumoulin et al., "A Learned Representation for Artistic Style" (2017), equation 5, over the batch as in Miyato
        and Koyama, "cGANs with Projection Discriminator" (2018).
    """

    def __init__(self, num_classes: int, momentum: float = 0.9, epsilon: float = 1e-3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_classes = _checks.positive_integer(_OWNER, "num_classes", num_classes)
        self.momentum = _checks.probability(_OWNER, "momentum", momentum)
        self.epsilon = _checks.positive_number(_OWNER, "epsilon", epsilon)

    def build(self, inputs_shape: tuple, labels_shape: tuple) -> None:
        if len(inputs_shape) not in (2, 4):
            raise ValueError(
                f"{_OWNER} expects inputs of shape (b d) or (b h w c), but received {tuple(inputs_shape)}."
            )
        channels = _checks.last_axis(_OWNER, inputs_shape)
        check_labels(_OWNER, labels_shape)
        common = {"dtype": self.dtype_policy}
        self.normalization = keras.layers.BatchNormalization(
            momentum=self.momentum, epsilon=self.epsilon, center=False, scale=False, name="normalization", **common
        )
        self.normalization.build(inputs_shape)
        self.scale, self.shift = (
            keras.layers.Embedding(self.num_classes, channels, embeddings_initializer=start, name=name, **common)
            for name, start in (("scale", "ones"), ("shift", "zeros"))
        )
        for layer in (self.scale, self.shift):
            layer.build((labels_shape[0],))

    def call(self, inputs: Any, labels: Any, training: bool | None = None) -> Any:  # b ... c, b -> b ... c
        scale, shift = (layer(flat(labels)) for layer in (self.scale, self.shift))  # b c
        if len(inputs.shape) == 4:
            scale, shift = scale[:, None, None, :], shift[:, None, None, :]
        return self.normalization(inputs, training=training) * scale + shift

    def compute_output_shape(self, inputs_shape: tuple, labels_shape: tuple) -> tuple:
        return inputs_shape

    def get_config(self) -> dict[str, Any]:
        names = ("num_classes", "momentum", "epsilon")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
