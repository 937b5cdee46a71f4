"""What the residual blocks of a ResNet share: everything but the plan of their convolutions."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras

from keras_nnx import _checks
from keras_nnx.blocks._steps import activation, add_step, convolution, normalization, run_steps
from keras_nnx.layers import SqueezeExcite, StochasticDepth

ORDERS = ("post", "pre")
SHORTCUTS = ("projection", "average")
ARGUMENTS = (
    *("filters", "kernel_size", "strides", "order", "shortcut", "squeeze", "activation", "stochastic_depth"),
    *("momentum", "epsilon", "seed"),
)


@dataclasses.dataclass(frozen=True)
class Planned:
    """One convolution of a branch."""

    filters: int
    size: int
    strides: int = 1
    groups: int = 1


def keep_arguments(block: Any, values: dict[str, Any]) -> None:
    """Check the arguments that all residual blocks take, and store them."""
    owner = type(block).__name__
    for name in ("filters", "kernel_size", "strides"):
        _checks.positive_integer(owner, name, values[name])
    _checks.one_of(owner, "order", values["order"], ORDERS)
    _checks.one_of(owner, "shortcut", values["shortcut"], SHORTCUTS)
    if values["squeeze"] is not None:
        _checks.share(owner, "squeeze", values["squeeze"])
    for name in ("stochastic_depth", "momentum"):
        _checks.probability(owner, name, values[name])
    _checks.positive_number(owner, "epsilon", values["epsilon"])
    for name in ARGUMENTS:
        setattr(block, name, keras.activations.get(values[name]) if name == "activation" else values[name])


def arguments_of(block: Any) -> dict[str, Any]:
    """Return the arguments as `get_config` has them."""
    values = {name: getattr(block, name) for name in ARGUMENTS}
    return {**values, "activation": keras.activations.serialize(block.activation)}


def build_residual(block: Any, input_shape: tuple, plan: list[Planned]) -> None:
    """Give `block` the layers before the branch, in the branch and beside it, built."""
    owner = type(block).__name__
    _checks.rank(owner, input_shape, "b h w c")
    channels = _checks.last_axis(owner, input_shape)
    block.entry, block.branch, block.beside = [], [], []
    if block.order == "pre":
        add_step(block, block.entry, normalization(block, "normalization_0"), input_shape)
        add_step(block, block.entry, activation(block, "activation_0"), input_shape)
    shape = _build_branch(block, input_shape, plan)
    block.depth = StochasticDepth(block.stochastic_depth, seed=block.seed, name="depth", dtype=block.dtype_policy)
    block.depth.build(shape)
    # In the order of the second paper, what fits but for its size is thinned out instead of projected.
    block.projects = channels != block.filters or (block.strides > 1 and block.order == "post")
    if block.projects:
        _build_projection(block, input_shape)


def _build_branch(block: Any, shape: tuple, plan: list[Planned]) -> tuple:
    for number, planned in enumerate(plan, start=1):
        is_last = number == len(plan)
        with_bias = is_last and block.order == "pre"  # nothing normalises behind it
        name = f"convolution_{number}"
        steps = convolution(
            block, name, planned.filters, planned.size, planned.strides, planned.groups, use_bias=with_bias
        )
        if not with_bias:
            steps.append(normalization(block, f"normalization_{number}"))
        if not is_last:
            steps.append(activation(block, f"activation_{number}"))
        for step in steps:
            shape = add_step(block, block.branch, step, shape)
    if block.squeeze is not None:
        shape = add_step(
            block, block.branch, SqueezeExcite(block.squeeze, name="gate", dtype=block.dtype_policy), shape
        )
    return shape


def _build_projection(block: Any, shape: tuple) -> None:
    strides = block.strides
    if block.shortcut == "average" and strides > 1:
        pool = keras.layers.AveragePooling2D(
            strides, padding="same", data_format="channels_last", name="shortcut_pool", dtype=block.dtype_policy
        )
        shape, strides = add_step(block, block.beside, pool, shape), 1
    before = block.order == "pre"
    for step in convolution(block, "shortcut_convolution", block.filters, 1, strides, use_bias=before):
        shape = add_step(block, block.beside, step, shape)
    if not before:
        add_step(block, block.beside, normalization(block, "shortcut_normalization"), shape)


def call_residual(block: Any, inputs: Any, training: bool | None) -> Any:
    """Return the sum of the branch and what goes past it."""
    x = run_steps(block.entry, inputs, training)
    past = inputs
    if block.projects:
        past = run_steps(block.beside, x, training)
    elif block.strides > 1:
        past = inputs[:, :: block.strides, :: block.strides]
    total = past + block.depth(run_steps(block.branch, x, training), training=training)
    return block.activation(total) if block.order == "post" else total


def residual_shape(block: Any, input_shape: tuple) -> tuple:
    """Return the shape of the output."""
    batch, *sides, _ = input_shape
    return batch, *(None if side is None else -(-side // block.strides) for side in sides), block.filters
