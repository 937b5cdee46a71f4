"""Class labels beside what they belong to."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_nnx import _checks
from keras_nnx._registration import register
from keras_nnx.layers._labels import check_labels, flat

_OWNER = "LabelConcatenation"


@register
class LabelConcatenation(keras.layers.Layer):
    """Appends the class of each example to its features, or to every pixel of its image.

    Put it behind the latent vector of a conditional generator, and before the first convolution of a discriminator.

    Args:
        num_classes: Number of classes; labels go from 0 to `num_classes - 1`.
        dim: Size of a vector that is learned for each class; None appends a one among `num_classes` zeros.
        **kwargs: `name`, `dtype` and the like, as in `keras.layers.Layer`.

    Call arguments:
        inputs: `(b, d)` or `(b, h, w, c)`.
        labels: `(b)` or `(b, 1)`, whole numbers.

    Input shape:
        `(b, d)` or `(b, h, w, c)`, and `(b)` or `(b, 1)`; the last axis of `inputs` has to be known. No mask is used.

    Output shape:
        As `inputs`, with `dim` or `num_classes` more on the last axis.

    Raises:
        ValueError: If an argument is no positive integer, or an input has another shape.

    Example:
        >>> import numpy as np
        >>> import keras_nnx as nnx
        >>> nnx.layers.LabelConcatenation(10)(np.ones((2, 8, 8, 3), "float32"), np.array([3, 7])).shape
        TensorShape([2, 8, 8, 13])

    Source:
        Mirza and Osindero, "Conditional Generative Adversarial Nets" (2014), section 3.2; planes, Reed et al.,
        "Generative Adversarial Text to Image Synthesis" (2016), section 4.1.
    """

    def __init__(self, num_classes: int, dim: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_classes = _checks.positive_integer(_OWNER, "num_classes", num_classes)
        self.dim = _checks.optional_positive_integer(_OWNER, "dim", dim)

    def build(self, inputs_shape: tuple, labels_shape: tuple) -> None:
        if len(inputs_shape) not in (2, 4):
            raise ValueError(
                f"{_OWNER} expects inputs of shape (b d) or (b h w c), but received {tuple(inputs_shape)}."
            )
        _checks.last_axis(_OWNER, inputs_shape)
        check_labels(_OWNER, labels_shape)
        if self.dim is not None:
            self.embedding = keras.layers.Embedding(
                self.num_classes, self.dim, dtype=self.dtype_policy, name="embedding"
            )
            self.embedding.build((labels_shape[0],))

    def call(self, inputs: Any, labels: Any) -> Any:  # b ... c, b -> b ... c+k
        inputs, labels = ops.cast(inputs, self.compute_dtype), flat(labels)
        if self.dim is None:
            classes = ops.one_hot(labels, self.num_classes, dtype=self.compute_dtype)
        else:
            classes = self.embedding(labels)
        if len(inputs.shape) == 4:
            planes = (*ops.shape(inputs)[:3], classes.shape[-1])
            classes = ops.broadcast_to(classes[:, None, None, :], planes)
        return ops.concatenate([inputs, classes], axis=-1)

    def compute_output_shape(self, inputs_shape: tuple, labels_shape: tuple) -> tuple:
        return (*inputs_shape[:-1], inputs_shape[-1] + (self.dim or self.num_classes))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_classes": self.num_classes, "dim": self.dim}
