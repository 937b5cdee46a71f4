"""A multilayer perceptron with a way past it."""

from __future__ import annotations

from typing import Any

import keras

from keras_nnx import _checks
from keras_nnx._registration import register
from keras_nnx.blocks._transformer import child_seeds
from keras_nnx.layers import FeedForward, StochasticDepth

_OWNER = "MLPBlock"
_NORMALIZATIONS = ("layer", "batch")


@register
class MLPBlock(keras.layers.Layer):
    """A feed-forward network on normalised features, added to what came in.

    Use it for tables, embeddings and the ends of other networks; several of them, between a `Dense` and a
    normalisation, are the residual network for tables.

    Args:
        hidden_dim: Width between the two projections.
        units: Number of output features; where it differs from the input, a projection brings the input into shape.
            Default: as many as there are.
        activation: Name or function. Default: `"relu"`.
        normalization: `"layer"`, `"batch"`, or None for none.
        dropout: Fraction of hidden values dropped in training, in [0, 1).
        stochastic_depth: Probability that an example skips the network in training, in [0, 1).
        epsilon: Added to the variance in the normalisation, over 0.
        feed_forward_options: More options of `FeedForward`, such as `{"gated": True}`.
        seed: Seed of all draws in the block, which stay independent of each other.
        **kwargs: `name`, `dtype` and the like, as in `keras.layers.Layer`.

    Input shape:
        `(..., d)`; with batch normalisation all axes but the last are averaged over.

    Output shape:
        `(..., units)`. A mask is passed on unchanged; batch normalisation leaves padding out of its averages.

    Raises:
        ValueError: If an argument is out of its range, or `d` is unknown.

    Example:
        >>> import numpy as np
        >>> import keras_nnx as nnx
        >>> nnx.blocks.MLPBlock(32, units=16)(np.ones((4, 8), "float32")).shape
        TensorShape([4, 16])

    Source:
        Gorishniy et al., "Revisiting Deep Learning Models for Tabular Data" (2021), section 3.2.
    """

    def __init__(
        self,
        hidden_dim: int,
        units: int | None = None,
        activation: Any = "relu",
        normalization: str | None = "layer",
        dropout: float = 0.0,
        stochastic_depth: float = 0.0,
        epsilon: float = 1e-6,
        feed_forward_options: dict[str, Any] | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.hidden_dim = _checks.positive_integer(_OWNER, "hidden_dim", hidden_dim)
        self.units = _checks.optional_positive_integer(_OWNER, "units", units)
        self.activation = keras.activations.get(activation)
        if normalization is not None:
            _checks.one_of(_OWNER, "normalization", normalization, _NORMALIZATIONS)
        self.normalization = normalization
        self.dropout = _checks.probability(_OWNER, "dropout", dropout)
        self.stochastic_depth = _checks.probability(_OWNER, "stochastic_depth", stochastic_depth)
        self.epsilon = _checks.positive_number(_OWNER, "epsilon", epsilon)
        self.feed_forward_options = feed_forward_options
        self.seed = seed

    def build(self, input_shape: tuple) -> None:
        dim = _checks.last_axis(_OWNER, input_shape)
        seeds = child_seeds(self.seed, 2)
        common = {"dtype": self.dtype_policy}
        kinds = {"layer": keras.layers.LayerNormalization, "batch": keras.layers.BatchNormalization}
        if self.normalization is not None:
            self.norm = kinds[self.normalization](epsilon=self.epsilon, name="norm", **common)
            self.norm.build(input_shape)
        options = {"dropout": self.dropout, **(self.feed_forward_options or {})}
        self.feed_forward = FeedForward(
            self.hidden_dim, self.activation, units=self.units, seed=seeds[0], name="feed_forward", **common, **options
        )
        self.feed_forward.build(input_shape)
        self.shortcut = None
        if self.units not in (None, dim):
            self.shortcut = keras.layers.Dense(self.units, name="shortcut", **common)
            self.shortcut.build(input_shape)
        self.depth = StochasticDepth(self.stochastic_depth, seed=seeds[1], name="depth", **common)
        self.depth.build(self.compute_output_shape(input_shape))

    def call(self, inputs: Any, mask: Any = None, training: bool | None = None) -> Any:  # ... d -> ... units
        x = inputs
        if self.normalization == "batch":
            x = self.norm(x, mask=mask, training=training)
        elif self.normalization == "layer":
            x = self.norm(x)
        past = inputs if self.shortcut is None else self.shortcut(inputs)
        return past + self.depth(self.feed_forward(x, training=training), training=training)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return (*input_shape[:-1], self.units or input_shape[-1])

    def get_config(self) -> dict[str, Any]:
        names = ("hidden_dim", "units", "normalization", "dropout", "stochastic_depth", "epsilon", "seed")
        return {
            **super().get_config(),
            **{name: getattr(self, name) for name in names},
            "activation": keras.activations.serialize(self.activation),
            "feed_forward_options": self.feed_forward_options,
        }
