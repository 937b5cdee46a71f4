"""Layers that a convolutional block calls one after the other."""

from __future__ import annotations

from typing import Any

import keras

from keras_nnx.layers import SpectralNormalization

_TOLD = (keras.layers.BatchNormalization, SpectralNormalization)


def add_step(block: Any, steps: list[keras.layers.Layer], layer: keras.layers.Layer, shape: tuple) -> tuple:
    """Build `layer` for `shape`, put it behind the other steps, and return the shape that it gives.

    The block has it under its own name too.
    """
    layer.build(shape)
    setattr(block, layer.name, layer)
    steps.append(layer)
    return layer.compute_output_shape(shape)


def run_steps(steps: list[keras.layers.Layer], x: Any, training: bool | None) -> Any:
    """Call the steps; normalisations are told whether it is training."""
    for step in steps:
        x = step(x, training=training) if isinstance(step, _TOLD) else step(x)
    return x


def convolution(
    block: Any, name: str, filters: int, size: int, strides: int = 1, groups: int = 1, use_bias: bool = False
) -> list[keras.layers.Layer]:
    """Return a convolution whose outputs are as many as `ceil(size / strides)`.

    Where it strides, as many zeros come before as after, for an odd kernel; Keras's own padding puts more behind.
    """
    common = {"data_format": "channels_last", "dtype": block.dtype_policy}
    symmetric = strides > 1 and size > 1 and size % 2 == 1
    layers = [keras.layers.ZeroPadding2D(size // 2, name=f"{name}_padding", **common)] if symmetric else []
    return [
        *layers,
        keras.layers.Conv2D(
            filters,
            size,
            strides=strides,
            padding="valid" if symmetric else "same",
            groups=groups,
            use_bias=use_bias,
            kernel_initializer="he_normal",
            name=name,
            **common,
        ),
    ]


def normalization(block: Any, name: str) -> keras.layers.Layer:
    """Return a batch normalisation with the options of `block`."""
    return keras.layers.BatchNormalization(
        momentum=block.momentum, epsilon=block.epsilon, dtype=block.dtype_policy, name=name
    )


def activation(block: Any, name: str) -> keras.layers.Layer:
    """Return the activation of `block` as a step."""
    return keras.layers.Activation(block.activation, dtype=block.dtype_policy, name=name)


def spectral(block: Any, layer: keras.layers.Layer) -> keras.layers.Layer:
    """Return `layer` with its kernel divided by its largest singular value, if `block` normalises so."""
    if block.normalization != "spectral":
        return layer
    return SpectralNormalization(layer, dtype=block.dtype_policy, name=layer.name)
