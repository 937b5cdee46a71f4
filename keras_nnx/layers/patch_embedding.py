"""Pictures cut into patches, each projected to a token."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_nnx import _checks


@keras.saving.register_keras_serializable(package="keras_nnx")
class PatchEmbedding(keras.layers.Layer):
    """Cuts images into patches that do not overlap and projects each to a token.

    Use it as the first layer of a vision transformer. It is one strided convolution, which every runtime has, and a
    reshape; Keras has no layer for it.

    Args:
        dim: Size of a token.
        patch_size: Height and width of a patch in pixels; one integer for both.
        **kwargs: `name`, `dtype` and the like, as in `keras.layers.Layer`.

    Input shape:
        `(b, h, w, c)`, channels last; `h` and `w` may be unknown. Of a picture whose unknown size turns out to be no
        multiple of the patch, a compiled or exported model leaves out the rest at the right and the bottom; called
        step by step, the layer raises.

    Output shape:
        `(b, t, dim)` with `t = (h / patch height) * (w / patch width)`, row by row. Images carry no mask.

    Raises:
        ValueError: If an argument is not a positive integer, the input has no four axes, the number of its channels
            is unknown, or a known height or width is not a multiple of the patch.

    Example:
        >>> import numpy as np
        >>> import keras_nnx as nnx
        >>> nnx.layers.PatchEmbedding(dim=32, patch_size=2)(np.ones((1, 8, 8, 3), "float32")).shape
        TensorShape([1, 16, 32])

    Source:
        Dosovitskiy et al., "An Image is Worth 16x16 Words" (2021), section 3.1.
    """

    def __init__(self, dim: int, patch_size: int | tuple[int, int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dim = _checks.positive_integer("PatchEmbedding", "dim", dim)
        self.patch_size = patch_size
        self._patch = _checks.integer_pair("PatchEmbedding", "patch_size", patch_size)

    def build(self, input_shape: tuple) -> None:
        self._tokens(input_shape)
        _checks.last_axis("PatchEmbedding", input_shape)
        self.projection = keras.layers.Conv2D(
            self.dim,
            self._patch,
            strides=self._patch,
            data_format="channels_last",
            dtype=self.dtype_policy,
            name="projection",
        )
        self.projection.build(input_shape)

    def call(self, inputs: Any) -> Any:  # b h w c -> b t d
        patches = self.projection(inputs)
        tokens = self._tokens(inputs.shape)
        if tokens is None:
            return ops.reshape(patches, (ops.shape(patches)[0], -1, self.dim))
        return ops.reshape(patches, (-1, tokens, self.dim))

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return input_shape[0], self._tokens(input_shape), self.dim

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "dim": self.dim, "patch_size": self.patch_size}

    def _tokens(self, shape: tuple) -> int | None:
        """Return the number of patches of an image of `shape`, or None while a side is unknown."""
        _checks.rank("PatchEmbedding", shape, "b h w c")
        tokens: int | None = 1
        for axis, side, patch in zip(("height", "width"), shape[1:3], self._patch, strict=True):
            if side is not None and side % patch:
                raise ValueError(
                    f"PatchEmbedding(patch_size={self.patch_size!r}) cannot cut an image of {axis} {side} into "
                    f"whole patches: resize the image to a multiple of {patch}, or choose a patch size that "
                    f"divides {side}."
                )
            tokens = None if tokens is None or side is None else tokens * (side // patch)
        return tokens
