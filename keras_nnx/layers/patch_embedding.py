"""Sequences, pictures and volumes cut into patches, each projected to a token."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from keras_nnx import _checks
from keras_nnx._registration import register

_CONVOLUTIONS = {1: keras.layers.Conv1D, 2: keras.layers.Conv2D, 3: keras.layers.Conv3D}
_AXES = {3: ("length",), 4: ("height", "width"), 5: ("depth", "height", "width")}
_SHAPES = "(b, t, c), (b, h, w, c) or (b, z, h, w, c)"


@register
class PatchEmbedding(keras.layers.Layer):
    """Cuts what comes in into patches and projects each to a token.

    Use it as the first layer of a vision transformer. It is one strided convolution, which every runtime has, and a
    reshape; Keras has no layer for it.

    Args:
        dim: Size of a token.
        patch_size: Size of a patch along each axis, in steps, pixels or voxels; one integer for all.
        strides: From one patch to the next along each axis; one integer for all. Patches overlap where it is smaller
            than the patch. Default: the size of a patch.
        padding: `"valid"` for whole patches only; `"same"` fills with zeros around the border, and takes any size.
        **kwargs: `name`, `dtype` and the like, as in `keras.layers.Layer`.

    Input shape:
        `(b, t, c)`, `(b, h, w, c)` or `(b, z, h, w, c)`, channels last and of any number; the sides may be unknown. Of
        a picture whose unknown size turns out not to be cut into whole patches, a compiled or exported model leaves out
        the rest at the end; called step by step, the layer raises.

    Output shape:
        `(b, n, dim)`, the patches in the order of the axes. A mask is not passed on.

    Raises:
        ValueError: If an argument is not understood or not positive, has another number of sizes than the input axes,
            the number of channels is unknown, or a known side is smaller than a patch or leaves a rest.

    Example:
        >>> import numpy as np
        >>> import keras_nnx as nnx
        >>> nnx.layers.PatchEmbedding(dim=32, patch_size=2)(np.ones((1, 8, 8, 3), "float32")).shape
        TensorShape([1, 16, 32])

    Source:
        Dosovitskiy et al., "An Image is Worth 16x16 Words" (2021), section 3.1; overlapping, Wu et al., "CvT" (2021).
    """

    def __init__(
        self,
        dim: int,
        patch_size: int | tuple[int, ...],
        strides: int | tuple[int, ...] | None = None,
        padding: str = "valid",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.dim = _checks.positive_integer("PatchEmbedding", "dim", dim)
        _checks.sizes("PatchEmbedding", "patch_size", patch_size)
        if strides is not None:
            _checks.sizes("PatchEmbedding", "strides", strides)
        self.patch_size, self.strides = patch_size, strides
        self.padding = _checks.one_of("PatchEmbedding", "padding", padding, ("valid", "same"))

    def build(self, input_shape: tuple) -> None:
        self._tokens(input_shape)
        _checks.last_axis("PatchEmbedding", input_shape)
        patch, strides = self._geometry(input_shape)
        self.projection = _CONVOLUTIONS[len(patch)](
            self.dim,
            patch,
            strides=strides,
            padding=self.padding,
            data_format="channels_last",
            dtype=self.dtype_policy,
            name="projection",
        )
        self.projection.build(input_shape)

    def call(self, inputs: Any) -> Any:  # b h w c -> b n d
        patches = self.projection(inputs)
        tokens = self._tokens(inputs.shape)
        if tokens is None:
            return ops.reshape(patches, (ops.shape(patches)[0], -1, self.dim))
        return ops.reshape(patches, (-1, tokens, self.dim))

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return input_shape[0], self._tokens(input_shape), self.dim

    def get_config(self) -> dict[str, Any]:
        names = ("dim", "patch_size", "strides", "padding")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}

    def _geometry(self, shape: tuple) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return the size of a patch and the strides along each axis of an input of `shape`."""
        if len(shape) - 2 not in _CONVOLUTIONS:
            raise ValueError(f"PatchEmbedding expects inputs of shape {_SHAPES}, but received {tuple(shape)}.")
        patch = _checks.sizes_along("PatchEmbedding", "patch_size", self.patch_size, shape)
        strides = self.patch_size if self.strides is None else self.strides
        return patch, _checks.sizes_along("PatchEmbedding", "strides", strides, shape)

    def _tokens(self, shape: tuple) -> int | None:
        """Return the number of patches of an input of `shape`, or None while a side is unknown."""
        geometry = self._geometry(shape)
        counts = [self._count(*along) for along in zip(_AXES[len(shape)], shape[1:-1], *geometry, strict=True)]
        known = [count for count in counts if count is not None]
        return math.prod(known) if len(known) == len(counts) else None

    def _count(self, axis: str, side: int | None, patch: int, stride: int) -> int | None:
        if side is None or self.padding == "same":
            return None if side is None else -(-side // stride)
        if side < patch or (side - patch) % stride:
            cut = f"{patch}" if patch == stride else f"{patch} every {stride}"
            fits = f"a multiple of {stride}" if patch == stride else f"{patch} more than a multiple of {stride}"
            raise ValueError(
                f"PatchEmbedding(patch_size={self.patch_size!r}) cannot cut an input of {axis} {side} into whole "
                f'patches of {cut}: resize it to {fits}, choose another patch size, or padding="same".'
            )
        return (side - patch) // stride + 1
