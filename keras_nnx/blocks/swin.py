"""The block and the stage of a Swin transformer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from keras_nnx import _checks
from keras_nnx._registration import register
from keras_nnx.blocks._transformer import child_seeds
from keras_nnx.layers import FeedForward, PatchMerging, StochasticDepth, WindowAttention

_NAMES = ("num_heads", "window_size", "expansion", "dropout", "stochastic_depth", "epsilon", "seed")


def _keep(block: Any, values: dict[str, Any]) -> None:
    owner = type(block).__name__
    for name in ("num_heads", "window_size", "expansion"):
        _checks.positive_integer(owner, name, values[name])
    _checks.probability(owner, "dropout", values["dropout"])
    _checks.positive_number(owner, "epsilon", values["epsilon"])
    for name in _NAMES:
        setattr(block, name, values[name])


@register
class SwinBlock(keras.layers.Layer):
    """Attention within windows and a feed-forward network, each normalised first and added to what came in.

    Args:
        num_heads: Number of attention heads; has to divide the number of channels.
        window_size: Side of a window in pixels.
        shift: By how many pixels the windows are shifted, less than `window_size`.
        expansion: Width of the feed-forward network over the number of channels.
        dropout: Fraction of attention weights and of hidden values dropped in training, in [0, 1).
        stochastic_depth: Probability that an example skips a branch in training, in [0, 1).
        epsilon: Added to the variance in the normalisations, over 0.
        seed: Seed of all draws in the block, which stay independent of each other.
        **kwargs: `name`, `dtype` and the like, as in `keras.layers.Layer`.

    Input shape:
        `(b, h, w, c)`; `h` and `w` may be unknown. Images carry no mask.

    Output shape:
        As the input.

    Raises:
        ValueError: If an argument is out of its range, the input has no four axes, or its channels are unknown or no
            multiple of `num_heads`.

    Example:
        >>> import numpy as np
        >>> import keras_nnx as nnx
        >>> nnx.blocks.SwinBlock(num_heads=2, window_size=4, shift=2)(np.ones((1, 8, 8, 16), "float32")).shape
        TensorShape([1, 8, 8, 16])

    Source:
        Liu et al., "Swin Transformer: Hierarchical Vision Transformer using Shifted Windows" (2021), figure 3b.
    """

    def __init__(
        self,
        num_heads: int,
        window_size: int = 7,
        shift: int = 0,
        expansion: int = 4,
        dropout: float = 0.0,
        stochastic_depth: float = 0.0,
        epsilon: float = 1e-5,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        _keep(self, {name: value for name, value in locals().items() if name in _NAMES})
        _checks.probability("SwinBlock", "stochastic_depth", stochastic_depth)
        self.shift = _checks.at_least_zero("SwinBlock", "shift", shift)

    def build(self, input_shape: tuple) -> None:
        _checks.rank("SwinBlock", input_shape, "b h w c")
        channels = _checks.last_axis("SwinBlock", input_shape)
        seeds = child_seeds(self.seed, 4)
        common = {"dtype": self.dtype_policy}
        self.attention_norm = keras.layers.LayerNormalization(epsilon=self.epsilon, name="attention_norm", **common)
        self.attention = WindowAttention(
            self.num_heads,
            self.window_size,
            self.shift,
            dropout=self.dropout,
            seed=seeds[0],
            name="attention",
            **common,
        )
        self.attention_depth = StochasticDepth(self.stochastic_depth, seeds[1], name="attention_depth", **common)
        self.feed_forward_norm = keras.layers.LayerNormalization(
            epsilon=self.epsilon, name="feed_forward_norm", **common
        )
        self.feed_forward = FeedForward(
            self.expansion * channels, dropout=self.dropout, seed=seeds[2], name="feed_forward", **common
        )
        self.feed_forward_depth = StochasticDepth(self.stochastic_depth, seeds[3], name="feed_forward_depth", **common)
        for kind in ("attention", "feed_forward"):
            for part in (f"{kind}_norm", kind, f"{kind}_depth"):
                getattr(self, part).build(input_shape)

    def call(self, inputs: Any, training: bool | None = None) -> Any:  # b h w c -> b h w c
        branch = self.attention(self.attention_norm(inputs), training=training)
        x = inputs + self.attention_depth(branch, training=training)
        branch = self.feed_forward(self.feed_forward_norm(x), training=training)
        return x + self.feed_forward_depth(branch, training=training)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **{name: getattr(self, name) for name in _NAMES}, "shift": self.shift}


@register
class SwinStage(keras.layers.Layer):
    """Swin blocks whose windows are shifted in turns, behind a merging of patches if there is one.

    Args:
        depth: Number of blocks.
        num_heads: Number of attention heads; has to divide the number of channels.
        window_size: Side of a window in pixels; every second block shifts it by half.
        merge: Whether the sides are halved, and the channels doubled, before the blocks.
        expansion: Width of the feed-forward networks over the number of channels.
        dropout: Fraction of attention weights and of hidden values dropped in training, in [0, 1).
        stochastic_depth: Probability that an example skips a branch in training, in [0, 1); one for all blocks, or one
            for each.
        epsilon: Added to the variance in the normalisations, over 0.
        seed: Seed of all draws in the stage, which stay independent of each other.
        **kwargs: `name`, `dtype` and the like, as in `keras.layers.Layer`.

    Input shape:
        `(b, h, w, c)`; `h` and `w` may be unknown. Images carry no mask.

    Output shape:
        As the input, or `(b, ceil(h / 2), ceil(w / 2), 2 * c)` if it merges.

    Raises:
        ValueError: If an argument is out of its range, the input has no four axes, or its channels are unknown or do
            not fit the heads.

    Example:
        >>> import numpy as np
        >>> import keras_nnx as nnx
        >>> stage = nnx.blocks.SwinStage(depth=2, num_heads=2, window_size=4, merge=True)
        >>> stage(np.ones((1, 8, 8, 16), "float32")).shape
        TensorShape([1, 4, 4, 32])

    Source:
        Liu et al., "Swin Transformer: Hierarchical Vision Transformer using Shifted Windows" (2021), figure 3a.
    """

    def __init__(
        self,
        depth: int,
        num_heads: int,
        window_size: int = 7,
        merge: bool = False,
        expansion: int = 4,
        dropout: float = 0.0,
        stochastic_depth: float | Sequence[float] = 0.0,
        epsilon: float = 1e-5,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        _keep(self, {name: value for name, value in locals().items() if name in _NAMES})
        self.depth = _checks.positive_integer("SwinStage", "depth", depth)
        self.merge = merge
        if len(self._rates()) != depth:
            raise ValueError(
                f"SwinStage(depth={depth}, stochastic_depth={stochastic_depth!r}) needs one probability, or one for "
                f"each block."
            )
        for rate in self._rates():
            _checks.probability("SwinStage", "stochastic_depth", rate)

    def build(self, input_shape: tuple) -> None:
        shape = self.compute_output_shape(input_shape)
        if self.merge:
            self.merging = PatchMerging(epsilon=self.epsilon, name="merging", dtype=self.dtype_policy)
            self.merging.build(input_shape)
        self.blocks = []
        for index, (rate, seed) in enumerate(zip(self._rates(), child_seeds(self.seed, self.depth), strict=True)):
            options = {name: getattr(self, name) for name in _NAMES if name != "seed"}
            options["stochastic_depth"] = rate
            shift = self.window_size // 2 if index % 2 else 0
            block = SwinBlock(**options, shift=shift, seed=seed, name=f"block_{index + 1}", dtype=self.dtype_policy)
            block.build(shape)
            self.blocks.append(block)

    def call(self, inputs: Any, training: bool | None = None) -> Any:  # b h w c -> b h w c
        x = self.merging(inputs) if self.merge else inputs
        for block in self.blocks:
            x = block(x, training=training)
        return x

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        _checks.rank("SwinStage", input_shape, "b h w c")
        channels = _checks.last_axis("SwinStage", input_shape)
        if not self.merge:
            return input_shape
        sides = (None if side is None else -(-side // 2) for side in input_shape[1:3])
        return (input_shape[0], *sides, 2 * channels)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            **{name: getattr(self, name) for name in _NAMES},
            "depth": self.depth,
            "merge": self.merge,
        }

    def _rates(self) -> Sequence[float]:
        """Return the stochastic depth of each block."""
        rate = self.stochastic_depth
        return [rate] * self.depth if isinstance(rate, int | float) else rate
