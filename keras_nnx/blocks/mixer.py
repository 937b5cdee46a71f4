"""Networks over tokens and over features in turns."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_nnx import _checks
from keras_nnx._registration import register
from keras_nnx.blocks._transformer import child_seeds
from keras_nnx.layers import FeedForward, StochasticDepth

_OWNER = "MixerBlock"


@register
class MixerBlock(keras.layers.Layer):
    """A network that mixes the tokens of each feature, and one that mixes the features of each token, each added.

    It takes the place of a transformer block where the number of tokens is known, without attention.

    Args:
        token_dim: Width of the network over tokens.
        channel_dim: Width of the network over features.
        activation: Activation of both. Default: exact `"gelu"`.
        dropout: Fraction of hidden values dropped in training, in [0, 1).
        stochastic_depth: Probability that an example skips a branch in training, in [0, 1).
        epsilon: Added to the variance in the normalisations, over 0.
        seed: Seed of all draws in the block, which stay independent of each other.
        **kwargs: `name`, `dtype` and the like, as in `keras.layers.Layer`.

    Input shape:
        `(b, t, d)`, with `t` and `d` known. Patches carry no mask: padding would be mixed with the rest.

    Output shape:
        As the input.

    Raises:
        ValueError: If an argument is out of its range, the input has no three axes, or `t` or `d` is unknown.

    Example:
        >>> import numpy as np
        >>> import keras_nnx as nnx
        >>> nnx.blocks.MixerBlock(token_dim=8, channel_dim=32)(np.ones((2, 16, 12), "float32")).shape
        TensorShape([2, 16, 12])

    Source:
        Tolstikhin et al., "MLP-Mixer: An all-MLP Architecture for Vision" (2021), equation 1.
    """

    def __init__(
        self,
        token_dim: int,
        channel_dim: int,
        activation: Any = "gelu",
        dropout: float = 0.0,
        stochastic_depth: float = 0.0,
        epsilon: float = 1e-6,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.token_dim = _checks.positive_integer(_OWNER, "token_dim", token_dim)
        self.channel_dim = _checks.positive_integer(_OWNER, "channel_dim", channel_dim)
        self.activation = keras.activations.get(activation)
        self.dropout = _checks.probability(_OWNER, "dropout", dropout)
        self.stochastic_depth = _checks.probability(_OWNER, "stochastic_depth", stochastic_depth)
        self.epsilon = _checks.positive_number(_OWNER, "epsilon", epsilon)
        self.seed = seed

    def build(self, input_shape: tuple) -> None:
        _checks.rank(_OWNER, input_shape, "b t d")
        batch, length, dim = input_shape
        if None in (length, dim):
            raise ValueError(
                f"MixerBlock has weights for each token and feature, and received the shape {tuple(input_shape)}: give "
                f"the input a fixed length."
            )
        common = {"dtype": self.dtype_policy}
        seeds = child_seeds(self.seed, 4)
        networks = {"token": (self.token_dim, (batch, dim, length)), "channel": (self.channel_dim, input_shape)}
        for index, (kind, (width, shape)) in enumerate(networks.items()):
            parts = {
                "norm": keras.layers.LayerNormalization(epsilon=self.epsilon, name=f"{kind}_norm", **common),
                "depth": StochasticDepth(self.stochastic_depth, seed=seeds[index], name=f"{kind}_depth", **common),
            }
            network = FeedForward(
                width, self.activation, dropout=self.dropout, seed=seeds[2 + index], name=f"{kind}_network", **common
            )
            network.build(shape)
            setattr(self, f"{kind}_network", network)
            for part, layer in parts.items():
                layer.build(input_shape)
                setattr(self, f"{kind}_{part}", layer)

    def call(self, inputs: Any, training: bool | None = None) -> Any:  # b t d -> b t d
        x = ops.transpose(self.token_norm(inputs), (0, 2, 1))
        x = ops.transpose(self.token_network(x, training=training), (0, 2, 1))
        x = inputs + self.token_depth(x, training=training)
        branch = self.channel_network(self.channel_norm(x), training=training)
        return x + self.channel_depth(branch, training=training)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        names = ("token_dim", "channel_dim", "dropout", "stochastic_depth", "epsilon", "seed")
        return {
            **super().get_config(),
            **{name: getattr(self, name) for name in names},
            "activation": keras.activations.serialize(self.activation),
        }
