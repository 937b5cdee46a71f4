"""Weights divided by their largest singular value."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_nnx import _checks
from keras_nnx._registration import register

_LEAST = 1e-12  # a smaller norm is that of a kernel of zeros


@register
class SpectralNormalization(keras.layers.Wrapper):
    """Lets a layer compute with its kernel divided by the largest singular value of the kernel.

    Wrap the convolutions and projections of a discriminator in it, and no input moves the answer by more than its own
    length. The kernel itself stays as it is, and the gradient goes through the singular value, as in the paper.
    `keras.layers.SpectralNormalization` overwrites the kernel in each training call instead: on JAX that is lost, in
    half precision it rounds the kernel, and what it makes of an `Embedding` are integers.

    Args:
        layer: A layer with a kernel in which it is linear, such as `Dense`, `Conv2D` or `Conv2DTranspose`, or an
            `Embedding`. Its bias and its activation are left alone.
        power_iterations: How often the estimate of the singular vector is improved in a training call.
        **kwargs: `name`, `dtype` and the like, as in `keras.layers.Layer`; the dtype of `layer` is its own.

    Input shape:
        As `layer`. A mask is neither used nor passed on.

    Output shape:
        As `layer`.

    Raises:
        ValueError: If `power_iterations` is no positive integer, or `layer` has neither a kernel nor embeddings.

    Example:
        >>> import keras
        >>> import numpy as np
        >>> import keras_nnx as nnx
        >>> layer = nnx.layers.SpectralNormalization(keras.layers.Conv2D(4, 3))
        >>> layer(np.ones((1, 8, 8, 3), "float32")).shape
        TensorShape([1, 6, 6, 4])

    Source:
        Miyato et al., "Spectral Normalization for Generative Adversarial Networks" (2018), algorithm 1 and equation 12.
    """

    def __init__(self, layer: keras.layers.Layer, power_iterations: int = 1, **kwargs: Any) -> None:
        super().__init__(layer, **kwargs)
        self.power_iterations = _checks.positive_integer("SpectralNormalization", "power_iterations", power_iterations)

    def build(self, input_shape: tuple) -> None:
        if not self.layer.built:
            self.layer.build(input_shape)
        self.looks_up = hasattr(self.layer, "embeddings")
        if not self.looks_up and getattr(self.layer, "kernel", None) is None:
            raise ValueError(
                f"SpectralNormalization(layer={type(self.layer).__name__}) has neither a kernel nor embeddings to "
                f"normalise: wrap a Dense, a convolution or an Embedding."
            )
        # The kernel of a transposed convolution has the outputs before the inputs.
        self.outputs_first = isinstance(self.layer, keras.layers.Conv1DTranspose | keras.layers.Conv2DTranspose)
        outputs = self._matrix().shape[-1]
        self.vector = self.add_weight(
            name="vector",
            shape=(1, outputs),
            initializer="random_normal",
            trainable=False,
            autocast=False,
            aggregation="only_first_replica",
        )
        self.built = True

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        norm = self._norm(bool(training) and self.trainable)
        if self.looks_up:
            outputs = self.layer(inputs)
            return ops.cast(ops.cast(outputs, "float32") / norm, outputs.dtype)
        # What comes in is divided, and not the kernel: the layer is linear in both, and only the kernel is a variable.
        return self.layer(ops.cast(ops.cast(inputs, "float32") / norm, self.compute_dtype))

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return self.layer.compute_output_shape(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "power_iterations": self.power_iterations}

    def _matrix(self) -> Any:  # rest outputs
        kernel = self.layer.embeddings if self.looks_up else self.layer.kernel
        kernel = ops.cast(kernel, "float32")
        if self.outputs_first:
            kernel = ops.swapaxes(kernel, -1, -2)
        return ops.reshape(kernel, (-1, kernel.shape[-1]))

    def _norm(self, improves: bool) -> Any:
        """Return the estimate of the largest singular value, by a vector that is improved before."""
        matrix = self._matrix()
        fixed, right = ops.stop_gradient(matrix), ops.cast(self.vector, "float32")
        for _ in range(self.power_iterations if improves else 0):
            right = _unit(ops.matmul(_unit(ops.matmul(right, ops.transpose(fixed))), fixed))
        if improves:
            self.vector.assign(ops.cast(right, self.vector.dtype))
        right = _unit(right)
        left = _unit(ops.matmul(right, ops.transpose(fixed)))
        norm = ops.sum(ops.matmul(left, matrix) * right)
        return ops.where(norm > _LEAST, norm, ops.ones_like(norm))


def _unit(vector: Any) -> Any:
    return vector / ops.maximum(ops.sqrt(ops.sum(ops.square(vector))), _LEAST)
