"""Attention within the windows of a picture."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_nnx import _checks
from keras_nnx._registration import register
from keras_nnx.layers._attention import shares

_OWNER = "WindowAttention"
_MASKED = -1e30


@register
class WindowAttention(keras.layers.Layer):
    """Attention among the pixels of each window of a picture, with a learned bias for every offset.

    The cost grows with the picture and not with its square. Windows of every second layer are shifted by half a window,
    so that neighbours meet. Keras has no layer for it.

    Args:
        num_heads: Number of attention heads; has to divide the number of channels.
        window_size: Side of a window in pixels.
        shift: By how many pixels the windows are shifted, less than `window_size`. What a shift brings together from
            opposite borders does not see each other.
        use_bias: Whether the projection to queries, keys and values adds a bias.
        dropout: Fraction of attention weights dropped in training, in [0, 1).
        seed: Seed of the dropout.
        **kwargs: `name`, `dtype` and the like, as in `keras.layers.Layer`.

    Input shape:
        `(b, h, w, c)`; `h` and `w` may be unknown, and need not be multiples of the window: what is added to fill the
        last windows is seen by no pixel. A picture that is no larger than a window along a known side is not shifted
        along it. Images carry no mask.

    Output shape:
        As the input.

    Raises:
        ValueError: If an argument is out of its range, the input has no four axes, or its channels are unknown or no
            multiple of `num_heads`.

    Example:
        >>> import numpy as np
        >>> import keras_nnx as nnx
        >>> nnx.layers.WindowAttention(num_heads=2, window_size=4, shift=2)(np.ones((1, 8, 10, 8), "float32")).shape
        TensorShape([1, 8, 10, 8])

    Source:
        Liu et al., "Swin Transformer: Hierarchical Vision Transformer using Shifted Windows" (2021), section 3.2 and
        equation 4.
    """

    def __init__(
        self,
        num_heads: int,
        window_size: int,
        shift: int = 0,
        use_bias: bool = True,
        dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_heads = _checks.positive_integer(_OWNER, "num_heads", num_heads)
        self.window_size = _checks.positive_integer(_OWNER, "window_size", window_size)
        self.shift = _checks.at_least_zero(_OWNER, "shift", shift)
        if self.shift >= self.window_size:
            raise ValueError(f"WindowAttention(shift={shift}) needs a shift under the window of {window_size} pixels.")
        self.use_bias = use_bias
        self.dropout = _checks.probability(_OWNER, "dropout", dropout)
        self.seed = seed

    def build(self, input_shape: tuple) -> None:
        _checks.rank(_OWNER, input_shape, "b h w c")
        dim = _checks.last_axis(_OWNER, input_shape)
        if dim % self.num_heads:
            raise ValueError(
                f"WindowAttention(num_heads={self.num_heads}) cannot split {dim} channels evenly: choose a number of "
                f"heads that divides {dim}."
            )
        common = {"dtype": self.dtype_policy}
        self.query_key_value = keras.layers.Dense(3 * dim, use_bias=self.use_bias, name="query_key_value", **common)
        self.output_projection = keras.layers.Dense(dim, name="output", **common)
        pixels = (None, self.window_size**2)
        self.query_key_value.build((*pixels, dim))
        self.output_projection.build((*pixels, dim))
        if self.dropout:
            self.drop = keras.layers.Dropout(self.dropout, seed=self.seed, name="drop", **common)
            self.drop.build(None)
        self.offset_bias = self.add_weight(
            name="offset_bias",
            shape=((2 * self.window_size - 1) ** 2, self.num_heads),
            initializer=keras.initializers.TruncatedNormal(stddev=0.02),
        )

    def call(self, inputs: Any, training: bool | None = None) -> Any:  # b h w c -> b h w c
        size = self.window_size
        height, width = ops.shape(inputs)[1:3]
        shifts = [self._shift_along(side) for side in (height, width)]
        below, right = -height % size, -width % size
        x = ops.cast(inputs, self.compute_dtype)
        if any(not isinstance(side, int) or side % size for side in (height, width)):
            x = ops.pad(x, ((0, 0), (0, below), (0, right), (0, 0)))
        for axis, shift in enumerate(shifts, start=1):
            x = _rolled(x, -shift, axis)
        rows, columns = (height + below) // size, (width + right) // size
        windows = _cut(x, rows, columns, size)  # b*n p c
        visible = _visible((height, width), (rows, columns), shifts, size)
        windows = self._attend(windows, visible, rows * columns, training)
        x = _join(windows, rows, columns, size)
        for axis, shift in enumerate(shifts, start=1):
            x = _rolled(x, shift, axis)
        return x[:, :height, :width]

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        names = ("num_heads", "window_size", "shift", "use_bias", "dropout", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}

    def _shift_along(self, side: Any) -> Any:
        """Return the shift along a side: none where one window has it all, which an unknown side tells when it runs."""
        if isinstance(side, int) or not self.shift:
            return 0 if isinstance(side, int) and side <= self.window_size else self.shift
        return ops.where(side <= self.window_size, 0, self.shift)

    def _attend(self, windows: Any, visible: Any, count: Any, training: bool | None) -> Any:  # b*n p c -> b*n p c
        pixels, dim = self.window_size**2, windows.shape[-1]
        size = dim // self.num_heads
        split = ops.reshape(self.query_key_value(windows), (-1, pixels, 3, self.num_heads, size))
        query, key, value = (ops.transpose(split[:, :, place], (0, 2, 1, 3)) for place in range(3))
        scores = ops.matmul(query * (1 / math.sqrt(size)), ops.transpose(key, (0, 1, 3, 2)))  # b*n heads p p
        scores = ops.cast(scores, self._wide) + ops.cast(self._biases(), self._wide)
        if visible is not None:
            scores = ops.reshape(scores, (-1, count, self.num_heads, pixels, pixels))
            scores = ops.where(visible[None, :, None], scores, ops.cast(_MASKED, scores.dtype))
            scores = ops.reshape(scores, (-1, self.num_heads, pixels, pixels))
        weights = ops.cast(shares(scores), self.compute_dtype)
        if self.dropout:
            weights = self.drop(weights, training=training)
        gathered = ops.transpose(ops.matmul(weights, value), (0, 2, 1, 3))
        return self.output_projection(ops.reshape(gathered, (-1, pixels, dim)))

    def _biases(self) -> Any:  # heads p p
        """Return the bias for every pair of pixels: one number for each offset and head."""
        side = np.arange(self.window_size)
        rows, columns = (axis.ravel() for axis in np.meshgrid(side, side, indexing="ij"))
        offsets = [axis[:, None] - axis[None] + self.window_size - 1 for axis in (rows, columns)]
        places = offsets[0] * (2 * self.window_size - 1) + offsets[1]
        biases = ops.take(ops.convert_to_tensor(self.offset_bias), places.ravel().astype("int32"), axis=0)
        pixels = self.window_size**2
        return ops.transpose(ops.reshape(biases, (pixels, pixels, self.num_heads)), (2, 0, 1))

    @property
    def _wide(self) -> str:
        return "float32" if self.compute_dtype in ("float16", "bfloat16") else self.compute_dtype


def _rolled(x: Any, shift: Any, axis: int) -> Any:
    """Return `x` moved along an axis, round the end, by a number or by one that is known only when it runs."""
    if isinstance(shift, int):
        return ops.roll(x, shift, axis=axis) if shift else x
    length = ops.shape(x)[axis]
    return ops.take(x, ops.mod(ops.arange(0, length) - shift, length), axis=axis)


def _cut(x: Any, rows: Any, columns: Any, size: int) -> Any:  # b h w c -> b*n p c
    x = ops.reshape(x, (-1, rows, size, columns, size, x.shape[-1]))
    return ops.reshape(ops.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, size * size, x.shape[-1]))


def _join(windows: Any, rows: Any, columns: Any, size: int) -> Any:  # b*n p c -> b h w c
    x = ops.reshape(windows, (-1, rows, columns, size, size, windows.shape[-1]))
    return ops.reshape(ops.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, rows * size, columns * size, windows.shape[-1]))


def _visible(sides: tuple, windows: tuple, shifts: list[Any], size: int) -> Any:  # n p p
    """Return which pixels of each window see each other; None if all do."""
    moved = any(not isinstance(shift, int) or shift for shift in shifts)
    if not moved and all(isinstance(side, int) and side % size == 0 for side in sides):
        return None
    rows, columns = (_regions(*along, size) for along in zip(sides, windows, shifts, strict=True))
    rows, columns = ops.expand_dims(rows, 1), ops.expand_dims(columns, 0)
    inside = ops.logical_and(rows >= 0, columns >= 0)
    regions = ops.where(inside, 2 * rows + columns, -1)  # h w
    regions = ops.reshape(regions, (windows[0], size, windows[1], size))
    regions = ops.reshape(ops.transpose(regions, (0, 2, 1, 3)), (-1, size * size))
    seen = ops.expand_dims(regions, 1)
    return ops.logical_and(ops.equal(ops.expand_dims(regions, 2), seen), seen >= 0)


def _regions(side: Any, windows: Any, shift: Any, size: int) -> Any:
    """Return 0 for each row or column after the shift, 1 for what came round the border, -1 for what was filled in."""
    filled = windows * size
    places = ops.arange(0, filled)
    came_round = ops.cast(places >= filled - shift, "int32")
    return ops.where(ops.mod(places + shift, filled) < side, came_round, -1)
