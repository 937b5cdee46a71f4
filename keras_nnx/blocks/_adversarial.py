"""What the convolution blocks of generators and discriminators share: all but the convolution."""

from __future__ import annotations

from typing import Any

import keras

from keras_nnx import _checks
from keras_nnx.blocks._steps import activation, add_step, normalization, spectral

NORMALIZATIONS = ("batch", "spectral", None)
_NUMBERS = ("filters", "kernel_size", "strides")
_ARGUMENTS = (*_NUMBERS, "normalization", "activation", "momentum", "epsilon")


def keep_arguments(block: Any, values: dict[str, Any]) -> None:
    """Check the arguments that both blocks take, and store them."""
    owner = type(block).__name__
    for name in _NUMBERS:
        _checks.positive_integer(owner, name, values[name])
    _checks.one_of(owner, "normalization", values["normalization"], NORMALIZATIONS)
    _checks.probability(owner, "momentum", values["momentum"])
    _checks.positive_number(owner, "epsilon", values["epsilon"])
    for name in _ARGUMENTS:
        setattr(block, name, keras.activations.get(values[name]) if name == "activation" else values[name])


def arguments_of(block: Any) -> dict[str, Any]:
    """Return the arguments as `get_config` has them."""
    values = {name: getattr(block, name) for name in _ARGUMENTS}
    return {**values, "activation": keras.activations.serialize(block.activation)}


def build_steps(block: Any, input_shape: tuple, kind: type[keras.layers.Layer]) -> None:
    """Give `block` a convolution of a `kind`, what normalises it and what activates it, built."""
    owner = type(block).__name__
    _checks.rank(owner, input_shape, "b h w c")
    _checks.last_axis(owner, input_shape)
    convolution = kind(
        block.filters,
        block.kernel_size,
        strides=block.strides,
        padding="same",
        use_bias=block.normalization != "batch",
        data_format="channels_last",
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.02),
        dtype=block.dtype_policy,
        name="convolution",
    )
    steps = [spectral(block, convolution)]
    if block.normalization == "batch":
        steps.append(normalization(block, "normalization_1"))
    block.steps, shape = [], input_shape
    for step in [*steps, activation(block, "activation_1")]:
        shape = add_step(block, block.steps, step, shape)
