"""Descriptions of the models for images, each of which fits 8 x 8 pixels."""

from __future__ import annotations

from typing import Any

from keras_nnx.tuning.described import _common as common
from keras_nnx.tuning.described._description import Description, PerStage
from keras_nnx.tuning.ranges import Bool, Choice, Float, Int, Repeat

_NARROW, _MIDDLE, _WIDE = (
    Int(8, 32, step=8, default=16),
    Int(16, 64, step=16, default=32),
    Int(32, 128, step=32, default=64),
)
_FILTERS = PerStage((_NARROW, _MIDDLE, _WIDE), least=2, default=3)
_BLOCKS = PerStage((Int(1, 3, default=2),) * 3, least=2, default=3)

_VIT: dict[str, Any] = {
    "patch_size": Int(2, 4, step=2),
    "dim": Int(32, 128, step=16, default=64),
    "depth": Int(1, 6, default=4),
    "num_heads": common.HEADS,
    "hidden_dim": common.HIDDEN,
}
_VIT_TRAINING: dict[str, Any] = {
    "dropout": common.DROPOUT,
    "stochastic_depth": common.STOCHASTIC_DEPTH,
    "block_options": {
        "activation": common.activation("gelu"),
        "normalization": common.NORMALIZATION,
        "layer_scale": common.LAYER_SCALE,
        "attention_options": {"query_key_norm": Bool()},
        "feed_forward_options": common.GATES,
    },
}
_GENERATOR = PerStage((Int(64, 192, step=64, default=128), Int(32, 128, step=32, default=64)), least=1, default=2)
_DISCRIMINATOR = PerStage((Int(32, 128, step=32, default=64), Int(64, 192, step=64, default=128)), least=1, default=2)
_COMPARED = Choice([0, 1])
_RESIDUAL_FILTERS = Repeat(Int(32, 128, step=32, default=64), Int(1, 2, default=2), same=True)

IMAGES = {
    "CRNN": Description(
        {
            "filters": PerStage((_NARROW, _MIDDLE, _WIDE), least=2, default=2),
            "units": Repeat(common.UNITS, Int(1, 2)),
            "cell": common.CELL,
            "bidirectional": Bool(default=True),
            "dropout": common.DROPOUT,
        }
    ),
    "ConvNeXt": Description(
        {
            "filters": _FILTERS,
            "blocks": _BLOCKS,
            "patch_size": Choice([1, 2], default=2),
            "version": Choice([1, 2]),
            "layer_scale": Choice([1e-6, 0.1, None], default=0.1),
            "stochastic_depth": common.STOCHASTIC_DEPTH,
            "pooling": common.IMAGE_POOLING,
        },
        {"variant": ("filters", "blocks", "patch_size", "version", "layer_scale")},
    ),
    "DCGANDiscriminator": Description(
        {
            "filters": _DISCRIMINATOR,
            "normalization": Choice(["batch", "spectral", None], default="batch"),
            "minibatch_deviation": _COMPARED,
        }
    ),
    "DCGANGenerator": Description(
        {
            "latent_dim": common.LATENT,
            "filters": _GENERATOR,
            "normalization": Choice(["batch", "spectral", None], default="batch"),
        }
    ),
    "DeiT": Description({**_VIT, **_VIT_TRAINING}, {"variant": tuple(_VIT)}),
    "EfficientNet": Description(
        {
            "width": Float(0.25, 0.75, step=0.25),
            "depth": Float(0.25, 0.75, step=0.25, default=0.5),
            "dropout": common.DROPOUT,
            "stem_strides": Choice([1, 2]),
            "stochastic_depth": common.STOCHASTIC_DEPTH,
            "pooling": common.IMAGE_POOLING,
        },
        {"variant": ("width", "depth", "dropout", "stem_strides")},
    ),
    "ResNet": Description(
        {
            "filters": _FILTERS,
            "blocks": _BLOCKS,
            "bottleneck": Choice([None, 0.25, 0.5]),
            "order": common.CONVOLUTION_ORDER,
            "shortcut": Choice(["projection", "average"]),
            "squeeze": common.SQUEEZE,
            "stochastic_depth": common.STOCHASTIC_DEPTH,
            "pooling": common.IMAGE_POOLING,
        },
        {"variant": ("filters", "blocks", "bottleneck", "order", "shortcut", "squeeze")},
    ),
    "ResidualDiscriminator": Description(
        {
            "filters": _RESIDUAL_FILTERS,
            "normalization": Choice(["spectral", None], default="spectral"),
            "minibatch_deviation": _COMPARED,
        }
    ),
    "ResidualGenerator": Description({"latent_dim": common.LATENT, "filters": _RESIDUAL_FILTERS}),
    "Swin": Description(
        {
            "patch_size": Choice([1, 2], default=2),
            "dim": Int(16, 64, step=16, default=32),
            "blocks": PerStage((Int(1, 3, default=2),) * 2, least=1, default=2),
            "num_heads": PerStage((Int(1, 4, step=2, sampling="log", default=2), common.HEADS), least=1, default=2),
            "window_size": Int(2, 4, step=2, default=4),
            "dropout": common.DROPOUT,
            "stochastic_depth": common.STOCHASTIC_DEPTH,
            "pooling": common.IMAGE_POOLING,
        },
        {"variant": ("patch_size", "dim", "blocks", "num_heads", "window_size")},
    ),
    "UNet": Description(
        {
            "filters": _FILTERS,
            "interpolation": Choice(["bilinear", "nearest"]),
            "dropout": common.DROPOUT,
        },
        {"variant": ("filters",)},
    ),
    "ViT": Description(
        {
            **_VIT,
            "registers": Choice([0, 4]),
            **_VIT_TRAINING,
            "pooling": Choice(["token", "avg", "max"]),
        },
        {"variant": tuple(_VIT)},
    ),
}
