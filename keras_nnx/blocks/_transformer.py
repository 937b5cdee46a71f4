"""What the transformer blocks share: options, and residual branches with a normalisation, a gain and a chance to skip."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable
from typing import Any

import keras

from keras_nnx import _checks
from keras_nnx.layers import FeedForward, LayerScale, MultiHeadAttention, StochasticDepth

ORDERS = ("pre", "post", "parallel")
NORMALIZATIONS = {"layer": keras.layers.LayerNormalization, "rms": keras.layers.RMSNormalization}


@dataclasses.dataclass(frozen=True)
class Options:
    """The arguments that all transformer blocks take, checked."""

    owner: str
    num_heads: int
    hidden_dim: int
    activation: Any
    order: str
    normalization: str
    dropout: float
    stochastic_depth: float
    layer_scale: float | None
    epsilon: float
    attention: dict[str, Any]
    feed_forward: dict[str, Any]
    seed: int | None

    def __post_init__(self) -> None:
        owner = self.owner
        _checks.positive_integer(owner, "num_heads", self.num_heads)
        _checks.positive_integer(owner, "hidden_dim", self.hidden_dim)
        _checks.one_of(owner, "order", self.order, ORDERS)
        _checks.one_of(owner, "normalization", self.normalization, tuple(NORMALIZATIONS))
        _checks.probability(owner, "dropout", self.dropout)
        _checks.probability(owner, "stochastic_depth", self.stochastic_depth)
        _checks.positive_number(owner, "epsilon", self.epsilon)
        if self.layer_scale is not None:
            _checks.positive_number(owner, "layer_scale", self.layer_scale)

    def config(self) -> dict[str, Any]:
        """Return the arguments as `get_config` has them."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self) if field.name != "owner"}
        return {**values, "activation": keras.activations.serialize(self.activation)}


def make_attention(block: Any, name: str, seed: int | None, **more: Any) -> MultiHeadAttention:
    """Return an attention with the options of a block."""
    options: Options = block.options
    arguments = {"dropout": options.dropout, **options.attention, **more}
    return MultiHeadAttention(options.num_heads, seed=seed, name=name, dtype=block.dtype_policy, **arguments)


def make_feed_forward(block: Any, seed: int | None) -> FeedForward:
    """Return a feed-forward network with the options of a block."""
    options: Options = block.options
    arguments = {"dropout": options.dropout, **options.feed_forward}
    return FeedForward(
        options.hidden_dim, options.activation, seed=seed, name="feed_forward", dtype=block.dtype_policy, **arguments
    )


def build_branch(block: Any, name: str, shape: tuple, seed: int | None, normalized: bool = True) -> None:
    """Give `block` what surrounds the branch `name`, built."""
    options, common = block.options, {"dtype": block.dtype_policy}
    parts: dict[str, keras.layers.Layer] = {
        "depth": StochasticDepth(options.stochastic_depth, seed=seed, name=f"{name}_depth", **common)
    }
    if normalized:
        kind = NORMALIZATIONS[options.normalization]
        parts["norm"] = kind(epsilon=options.epsilon, name=f"{name}_norm", **common)
    if options.layer_scale is not None:
        parts["scale"] = LayerScale(options.layer_scale, name=f"{name}_scale", **common)
    for part, layer in parts.items():
        layer.build(shape)
        setattr(block, f"{name}_{part}", layer)


def add_branch(block: Any, name: str, x: Any, compute: Callable[[Any], Any], training: bool | None) -> Any:
    """Return `x` with what the branch `name` computes of it added, normalised before or after."""
    norm = getattr(block, f"{name}_norm")
    if block.options.order == "post":
        return norm(x + scaled(block, name, compute(x), training))
    return x + scaled(block, name, compute(norm(x)), training)


def scaled(block: Any, name: str, branch: Any, training: bool | None) -> Any:
    """Return a branch times its gain, or nothing for the examples that skip it."""
    if block.options.layer_scale is not None:
        branch = getattr(block, f"{name}_scale")(branch)
    return getattr(block, f"{name}_depth")(branch, training=training)


def child_seeds(seed: int | None, count: int) -> list[int | None]:
    """Return a seed for each child: with one and the same, all branches would always drop the same examples."""
    return [None] * count if seed is None else random.Random(seed).sample(range(2**31), count)
