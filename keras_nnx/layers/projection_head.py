"""The last layer of a discriminator that knows classes."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_nnx import _checks
from keras_nnx._registration import register
from keras_nnx.layers._labels import check_labels_given, flat
from keras_nnx.layers.spectral_normalization import SpectralNormalization

_OWNER = "ProjectionHead"
_NORMALIZATIONS = ("spectral", None)


@register
class ProjectionHead(keras.layers.Layer):
    """Says how real features are, and how well they fit to their class: one logit for each example.

    Put it at the end of a discriminator. The logit is a projection of the features, plus their inner product with a
    vector that is learned for the class.

    Args:
        num_classes: Number of classes; None has no labels and no inner product.
        normalization: `"spectral"` normalises the kernel and the vectors of the classes; None leaves them.
        **kwargs: `name`, `dtype` and the like, as in `keras.layers.Layer`.

    Call arguments:
        features: `(b, d)`.
        labels: `(b)` or `(b, 1)`, whole numbers from 0 to `num_classes - 1`; None without classes.

    Input shape:
        `(b, d)`, and `(b)` or `(b, 1)`; `d` has to be known. No mask is used.

    Output shape:
        `(b, 1)`.

    Raises:
        ValueError: If an argument is unknown or out of its range, labels are missing or not expected, or an input has
            another shape.

    Example:
        >>> import numpy as np
        >>> import keras_nnx as nnx
        >>> nnx.layers.ProjectionHead(10)(np.ones((2, 32), "float32"), np.array([3, 7])).shape
        TensorShape([2, 1])

    Source:
        Miyato and Koyama, "cGANs with Projection Discriminator" (2018), equation 4.
    """

    def __init__(self, num_classes: int | None = None, normalization: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_classes = _checks.optional_positive_integer(_OWNER, "num_classes", num_classes)
        self.normalization = _checks.one_of(_OWNER, "normalization", normalization, _NORMALIZATIONS)

    def build(self, features_shape: tuple, labels_shape: tuple | None = None) -> None:
        _checks.rank(_OWNER, features_shape, "b d")
        dim = _checks.last_axis(_OWNER, features_shape)
        self.projection = self._normalized(keras.layers.Dense(1, dtype=self.dtype_policy, name="projection"))
        self.projection.build(features_shape)
        check_labels_given(_OWNER, self.num_classes, labels_shape)
        if labels_shape is not None:
            embedding = keras.layers.Embedding(self.num_classes, dim, dtype=self.dtype_policy, name="embedding")
            self.embedding = self._normalized(embedding)
            self.embedding.build((labels_shape[0],))

    def call(self, features: Any, labels: Any = None, training: bool | None = None) -> Any:  # b d, b -> b 1
        check_labels_given(_OWNER, self.num_classes, None if labels is None else labels.shape)
        more = {"training": training} if self.normalization == "spectral" else {}
        logits = self.projection(features, **more)
        if labels is None:
            return logits
        return logits + ops.sum(self.embedding(flat(labels), **more) * features, axis=-1, keepdims=True)

    def compute_output_shape(self, features_shape: tuple, labels_shape: tuple | None = None) -> tuple:
        return features_shape[0], 1

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_classes": self.num_classes, "normalization": self.normalization}

    def _normalized(self, layer: keras.layers.Layer) -> keras.layers.Layer:
        if self.normalization is None:
            return layer
        return SpectralNormalization(layer, dtype=self.dtype_policy, name=layer.name)
