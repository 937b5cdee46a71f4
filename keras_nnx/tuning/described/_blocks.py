"""Descriptions of the blocks.

What says where a block stands is not among them: strides, halving and doubling, masks of time, classes.
"""

from __future__ import annotations

from typing import Any

from keras_nnx.tuning.described import _common as common
from keras_nnx.tuning.described._description import Description
from keras_nnx.tuning.ranges import Bool, Choice, Int

_TRANSFORMER: dict[str, Any] = {
    "num_heads": common.HEADS,
    "hidden_dim": common.HIDDEN,
    "activation": common.activation("gelu"),
    "order": common.ORDER,
    "normalization": common.NORMALIZATION,
    "dropout": common.DROPOUT,
    "stochastic_depth": common.STOCHASTIC_DEPTH,
    "layer_scale": common.LAYER_SCALE,
    "attention_options": {"num_key_value_heads": Choice([None, 1]), "query_key_norm": Bool()},
    "feed_forward_options": common.GATES,
}
_SWIN: dict[str, Any] = {
    "num_heads": common.HEADS,
    "window_size": Int(2, 4, step=2, default=4),
    "expansion": common.EXPANSION,
    "dropout": common.DROPOUT,
    "stochastic_depth": common.STOCHASTIC_DEPTH,
}
_UNET: dict[str, Any] = {"filters": common.FILTERS, "kernel_size": common.KERNEL}


def _adversarial(activation: str) -> dict[str, Any]:
    return {
        "filters": Int(32, 128, step=32, default=64),
        "kernel_size": Int(2, 6, step=2, default=4),
        "normalization": Choice(["batch", "spectral", None], default="batch"),
        "activation": common.activation(activation),
    }


_IMAGES: dict[str, dict[str, Any]] = {
    "BottleneckBlock": {
        "filters": Int(32, 128, step=32, default=64),
        "inner_filters": Int(8, 32, step=8, default=16),
        "groups": Int(1, 8, step=2, sampling="log"),
        "kernel_size": common.KERNEL,
        "order": common.CONVOLUTION_ORDER,
        "squeeze": common.SQUEEZE,
        "activation": common.activation("relu"),
        "stochastic_depth": common.STOCHASTIC_DEPTH,
    },
    "ConvNeXtBlock": {
        "expansion": common.EXPANSION,
        "kernel_size": Int(3, 7, step=2, default=5),
        "layer_scale": common.LAYER_SCALE,
        "response_normalization": Bool(),
        "activation": common.activation("gelu"),
        "stochastic_depth": common.STOCHASTIC_DEPTH,
    },
    "DiscriminatorResidualBlock": {
        "filters": Int(32, 128, step=32, default=64),
        "normalization": Choice(["spectral", None], default="spectral"),
        "kernel_size": common.KERNEL,
        "activation": common.activation("relu"),
    },
    "GeneratorResidualBlock": {
        "filters": Int(32, 128, step=32, default=64),
        "kernel_size": common.KERNEL,
        "activation": common.activation("relu"),
    },
    "InvertedResidualBlock": {
        "filters": common.FILTERS,
        "expansion": Int(2, 6, step=2, default=4),
        "kernel_size": common.KERNEL,
        "squeeze": Choice([None, 0.25], default=0.25),
        "fused": Bool(),
        "activation": common.activation("silu"),
        "stochastic_depth": common.STOCHASTIC_DEPTH,
    },
    "ResidualBlock": {
        "filters": common.FILTERS,
        "kernel_size": common.KERNEL,
        "order": common.CONVOLUTION_ORDER,
        "squeeze": common.SQUEEZE,
        "activation": common.activation("relu"),
        "stochastic_depth": common.STOCHASTIC_DEPTH,
    },
    "StridedConvolutionBlock": _adversarial("leaky_relu"),
    "SwinBlock": _SWIN,
    "SwinStage": {"depth": Int(1, 3, default=2), **_SWIN},
    "TransposedConvolutionBlock": _adversarial("relu"),
    "UNetDecoderBlock": {
        **_UNET,
        "interpolation": Choice(["bilinear", "nearest"]),
        "activation": common.activation("relu"),
    },
    "UNetEncoderBlock": {**_UNET, "activation": common.activation("relu")},
}
_SEQUENCES: dict[str, dict[str, Any]] = {
    "AttentionDecoderBlock": {
        "units": common.UNITS,
        "cell": common.CELL,
        "dropout": common.DROPOUT,
        "residual": common.RESIDUAL,
        "epsilon": common.EPSILON,
    },
    "ConvolutionalRecurrentBlock": {
        "filters": common.FILTERS,
        "units": common.UNITS,
        "kernel_size": common.KERNEL_OF_STEPS,
        "activation": common.activation("relu"),
        "recurrent_options": {"cell": common.CELL, "dropout": common.DROPOUT},
    },
    "CrossAttentionBlock": _TRANSFORMER,
    "MLPBlock": {
        "hidden_dim": common.HIDDEN,
        "activation": common.activation("relu"),
        "normalization": Choice(["layer", "batch", None], default="layer"),
        "dropout": common.DROPOUT,
        "stochastic_depth": common.STOCHASTIC_DEPTH,
        "feed_forward_options": common.GATES,
    },
    "MixerBlock": {
        "token_dim": Int(16, 128, step=16, default=32),
        "channel_dim": common.HIDDEN,
        "activation": common.activation("gelu"),
        "dropout": common.DROPOUT,
        "stochastic_depth": common.STOCHASTIC_DEPTH,
    },
    "RecurrentBlock": {
        "units": common.UNITS,
        "cell": common.CELL,
        "bidirectional": Bool(),
        "projection_dim": Choice([None, 32, 64]),
        "dropout": common.DROPOUT,
        "residual": common.RESIDUAL,
        "epsilon": common.EPSILON,
    },
    "TemporalConvolutionBlock": {
        "filters": common.FILTERS,
        "kernel_size": common.KERNEL_OF_STEPS,
        "dilation": Int(1, 4, step=2, sampling="log"),
        "activation": common.activation("relu"),
        "dropout": common.DROPOUT,
        "epsilon": common.EPSILON,
    },
    "TransformerDecoderBlock": _TRANSFORMER,
    "TransformerEncoderBlock": _TRANSFORMER,
}

BLOCKS = {name: Description(ranges) for name, ranges in sorted({**_IMAGES, **_SEQUENCES}.items())}
