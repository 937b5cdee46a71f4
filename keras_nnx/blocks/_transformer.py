"""What the transformer blocks share: options, and residual branches with a norm, a gain and a chance to skip."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import keras

from keras_nnx import _checks
from keras_nnx.layers import FeedForward, LayerScale, MultiHeadAttention, StochasticDepth

ORDERS = ("pre", "post", "parallel")
NORMALIZATIONS = {"layer": keras.layers.LayerNormalization, "rms": keras.layers.RMSNormalization}


ARGUMENTS = (
    "num_heads",
    "hidden_dim",
    "activation",
    "order",
    "normalization",
    "dropout",
    "stochastic_depth",
    "layer_scale",
    "epsilon",
    "attention_options",
    "feed_forward_options",
    "seed",
)
"""What all transformer blocks take, each stored under its own name."""


def keep_arguments(block: Any, values: dict[str, Any]) -> None:
    """Check the arguments that all transformer blocks take, and store them."""
    owner = type(block).__name__
    for name in ("num_heads", "hidden_dim"):
        _checks.positive_integer(owner, name, values[name])
    _checks.one_of(owner, "order", values["order"], ORDERS)
    _checks.one_of(owner, "normalization", values["normalization"], tuple(NORMALIZATIONS))
    for name in ("dropout", "stochastic_depth"):
        _checks.probability(owner, name, values[name])
    _checks.positive_number(owner, "epsilon", values["epsilon"])
    if values["layer_scale"] is not None:
        _checks.positive_number(owner, "layer_scale", values["layer_scale"])
    for name in ARGUMENTS:
        setattr(block, name, keras.activations.get(values[name]) if name == "activation" else values[name])


def arguments_of(block: Any) -> dict[str, Any]:
    """Return the arguments as `get_config` has them."""
    values = {name: getattr(block, name) for name in ARGUMENTS}
    attention: Any = getattr(block, "attention", None)
    if attention is not None and attention.lora_rank is not None:  # enabled after the block was made, maybe
        ranks = {"lora_rank": attention.lora_rank, "lora_alpha": attention.lora_alpha}
        values["attention_options"] = {**(block.attention_options or {}), **ranks}
    return {**values, "activation": keras.activations.serialize(block.activation)}


def make_attention(block: Any, name: str, seed: int | None, **more: Any) -> MultiHeadAttention:
    """Return an attention with the options of a block."""
    arguments = {"num_heads": block.num_heads, "dropout": block.dropout, "seed": seed}
    options = {**(block.attention_options or {}), **more}
    return MultiHeadAttention(name=name, dtype=block.dtype_policy, **{**arguments, **options})


def make_feed_forward(block: Any, seed: int | None) -> FeedForward:
    """Return a feed-forward network with the options of a block."""
    arguments = {"hidden_dim": block.hidden_dim, "activation": block.activation, "dropout": block.dropout, "seed": seed}
    options = block.feed_forward_options or {}
    return FeedForward(name="feed_forward", dtype=block.dtype_policy, **{**arguments, **options})


def build_branch(block: Any, name: str, shape: tuple, seed: int | None, normalized: bool = True) -> None:
    """Give `block` what surrounds the branch `name`, built."""
    common = {"dtype": block.dtype_policy}
    parts: dict[str, keras.layers.Layer] = {
        "depth": StochasticDepth(block.stochastic_depth, seed=seed, name=f"{name}_depth", **common)
    }
    if normalized:
        kind = NORMALIZATIONS[block.normalization]
        parts["norm"] = kind(epsilon=block.epsilon, name=f"{name}_norm", **common)
    if block.layer_scale is not None:
        parts["scale"] = LayerScale(block.layer_scale, name=f"{name}_scale", **common)
    for part, layer in parts.items():
        layer.supports_masking = True  # Keras forgot it for RMSNormalization, which would drop the mask
        layer.build(shape)
        setattr(block, f"{name}_{part}", layer)


def add_branch(block: Any, name: str, x: Any, compute: Callable[[Any], Any], training: bool | None) -> Any:
    """Return `x` with what the branch `name` computes of it added, normalised before or after."""
    norm = getattr(block, f"{name}_norm")
    if block.order == "post":
        return norm(x + scaled(block, name, compute(x), training))
    return x + scaled(block, name, compute(norm(x)), training)


def scaled(block: Any, name: str, branch: Any, training: bool | None) -> Any:
    """Return a branch times its gain, or nothing for the examples that skip it."""
    if block.layer_scale is not None:
        branch = getattr(block, f"{name}_scale")(branch)
    return getattr(block, f"{name}_depth")(branch, training=training)


def child_seeds(seed: int | None, count: int) -> list[int | None]:
    """Return a seed for each child: with one and the same, all branches would always drop the same examples."""
    return [None] * count if seed is None else random.Random(seed).sample(range(2**31), count)
