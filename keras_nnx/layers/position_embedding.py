"""A vector for every position of a sequence or a picture."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_nnx import _checks
from keras_nnx._registration import register

_OWNER = "PositionEmbedding"
_BASE = 10000.0


@register
class PositionEmbedding(keras.layers.Layer):
    """Adds a vector to every position: learned ones, or sines and cosines.

    Use it before the first transformer block: attention by itself does not know the order of its tokens. Keras has
    `Embedding`, which looks up numbers that the caller has to make; this layer is the sum itself.

    Learned positions follow the size: weights of another length, or of another grid, are interpolated when a file is
    loaded into the layer. To train on larger pictures, build the model for them and call `load_weights`.

    Args:
        kind: `"learned"`, or `"sine-cosine"`, which has no weights.
        grid: Height and width in patches, if the tokens are those of a picture, row by row. Default: a sequence.
        prefix: How many tokens, such as a class token, come before the grid; they have learned positions of their own,
            or none with `"sine-cosine"`.
        initializer: What learned vectors start as. Default: a normal distribution with standard deviation 0.02.
        **kwargs: `name`, `dtype` and the like, as in `keras.layers.Layer`.

    Input shape:
        `(b, t, d)`; `d` has to be known, and `t` unless it is a sequence with sines and cosines. `d` is even for these,
        and of a grid a multiple of 4.

    Output shape:
        As the input. A mask is passed on unchanged.

    Raises:
        ValueError: If `kind` is unknown, the input has no three axes, `t` or `d` is unknown or does not fit, or `t`
            differs from the one built for.

    Example:
        >>> import numpy as np
        >>> import keras_nnx as nnx
        >>> nnx.layers.PositionEmbedding(grid=(4, 4), prefix=1)(np.ones((2, 17, 8), "float32")).shape
        TensorShape([2, 17, 8])

    Source:
        Dosovitskiy et al., "An Image is Worth 16x16 Words" (2021), equation 1 and section 3.2; Vaswani et al.,
        "Attention Is All You Need" (2017), section 3.5, sines before cosines; of a grid, half of the features tell the
        column and half the row, as in He et al., "Masked Autoencoders Are Scalable Vision Learners" (2022).
    """

    def __init__(
        self,
        kind: str = "learned",
        grid: tuple[int, int] | None = None,
        prefix: int = 0,
        initializer: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.kind = _checks.one_of(_OWNER, "kind", kind, ("learned", "sine-cosine"))
        if grid is not None and len(_checks.sizes(_OWNER, "grid", grid)) != 2:
            raise ValueError(f"PositionEmbedding(grid={grid!r}) needs a height and a width.")
        self.grid = None if grid is None else tuple(grid)
        self.prefix = _checks.at_least_zero(_OWNER, "prefix", prefix)
        self.initializer = keras.initializers.get(initializer or keras.initializers.RandomNormal(stddev=0.02))

    def build(self, input_shape: tuple) -> None:
        _checks.rank(_OWNER, input_shape, "b t d")
        length, dim = input_shape[1], _checks.last_axis(_OWNER, input_shape)
        if length is not None and self.grid is not None and length != self.prefix + math.prod(self.grid):
            raise ValueError(
                f"PositionEmbedding(grid={self.grid}, prefix={self.prefix}) has "
                f"{self.prefix + math.prod(self.grid)} positions, but received {length} tokens."
            )
        if length is not None and length < self.prefix:
            raise ValueError(f"PositionEmbedding(prefix={self.prefix}) received {length} tokens only.")
        if self.kind == "sine-cosine":
            multiple = 2 if self.grid is None else 4
            if dim % multiple:
                raise ValueError(
                    f"PositionEmbedding(kind='sine-cosine') splits the features evenly, but received {dim}: use a "
                    f"multiple of {multiple}."
                )
            return
        if length is None:
            raise ValueError(
                f"PositionEmbedding has one vector for each position and needs to know their number and size, but "
                f"received shape {input_shape}: give the input a fixed length, or use kind='sine-cosine'."
            )
        self.positions = self.add_weight(name="positions", shape=(length, dim), initializer=self.initializer)

    def call(self, inputs: Any) -> Any:  # b t d -> b t d
        length = inputs.shape[1]
        if self.kind == "learned" and length is not None and length != self.positions.shape[0]:
            raise ValueError(
                f"PositionEmbedding was built for {self.positions.shape[0]} positions and received {length}: "
                f"build another model for that length, and load the weights into it."
            )
        positions = self.positions if self.kind == "learned" else self._waves(ops.shape(inputs)[1], inputs.shape[2])
        return ops.cast(inputs, self.compute_dtype) + ops.cast(positions, self.compute_dtype)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "kind": self.kind,
            "grid": self.grid,
            "prefix": self.prefix,
            "initializer": keras.initializers.serialize(self.initializer),
        }

    def save_own_variables(self, store: Any) -> None:
        """Save the vectors, and the grid that they are of."""
        super().save_own_variables(store)
        if self.kind == "learned":
            store["layout"] = np.array([self.prefix, *(self.grid or ())], "int32")

    def load_own_variables(self, store: Any) -> None:
        """Load the vectors, interpolated if they are of another size."""
        if self.kind != "learned":
            return
        positions = np.asarray(store["0"])
        prefix, *grid = np.asarray(store["layout"]).tolist() if "layout" in store else (self.prefix,)
        length, dim = self.positions.shape
        if prefix != self.prefix or positions.shape[1] != dim or bool(grid) != bool(self.grid):
            raise ValueError(
                f"PositionEmbedding has {self.prefix} prefix tokens, size {dim} and the grid {self.grid}, but "
                f"the file has {prefix}, {positions.shape[1]} and {tuple(grid) or None}: only the "
                f"number of positions may differ."
            )
        old = tuple(grid) or (len(positions) - prefix,)
        self.positions.assign(resized_positions(positions, old, self.grid or (length - prefix,), prefix))

    def _waves(self, length: Any, dim: int) -> Any:  # t d
        if self.grid is None:
            steps = ops.arange(0, length - self.prefix, dtype="float32")
            waves = _sines_and_cosines(steps, dim)
        else:
            height, width = self.grid
            columns = ops.tile(ops.arange(0, width, dtype="float32"), [height])
            rows = ops.repeat(ops.arange(0, height, dtype="float32"), width)
            waves = ops.concatenate([_sines_and_cosines(x, dim // 2) for x in (columns, rows)], axis=1)
        return ops.pad(waves, ((self.prefix, 0), (0, 0))) if self.prefix else waves


def resized_positions(positions: np.ndarray, old: tuple[int, ...], new: tuple[int, ...], prefix: int) -> np.ndarray:
    """Interpolate learned positions `(t, d)` of a sequence or grid of the size `old` to the size `new`.

    Args:
        positions: The vectors, those of `prefix` tokens first, which stay as they are.
        old: Length, or height and width.
        new: The same, of the result.
        prefix: How many vectors are of no place.

    Returns:
        `(prefix + product of new, d)`.
    """
    if old == new:
        return positions
    first, rest = positions[:prefix], positions[prefix:]
    image = rest.reshape(1, *((1,) * (2 - len(old))), *old, rest.shape[1])
    size = (1,) * (2 - len(new)) + tuple(new)
    resized = ops.image.resize(image, size, interpolation="bicubic", data_format="channels_last")
    return np.concatenate([first, ops.convert_to_numpy(resized).reshape(-1, rest.shape[1])])


def _sines_and_cosines(steps: Any, dim: int) -> Any:  # t -> t d
    speeds = (_BASE ** -(np.arange(dim // 2) / (dim / 2))).astype("float32")
    angles = ops.expand_dims(steps, 1) * speeds
    return ops.concatenate([ops.sin(angles), ops.cos(angles)], axis=1)
