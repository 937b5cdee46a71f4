"""The cases of the layer contract: what a public layer needs to be run through everything."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_nnx import blocks, layers

BATCH = 2


@dataclasses.dataclass(frozen=True, eq=False)
class Case:
    """One way to use a public layer.

    Args:
        layer: The class.
        arguments: What its constructor is given.
        shapes: The shape of each input without the batch.
        unknown: Axes that may have any size (the batch is axis 0 and always may); twice the size has to work too.
        mask: How the mask comes out of a layer that takes one, as a function of how it went in.
        silent: Ends of the paths of weights whose gradient is zero by mathematics.
        integers_below: For integer inputs: the values are under this.
        label: Tells several cases of one class apart.
    """

    layer: type[keras.layers.Layer]
    shapes: tuple[tuple[int, ...], ...]
    arguments: dict[str, Any] = dataclasses.field(default_factory=dict)
    unknown: tuple[int, ...] = ()
    mask: Callable[[np.ndarray], np.ndarray | None] | None = None
    silent: tuple[str, ...] = ()
    integers_below: int | None = None
    label: str = ""

    def __str__(self) -> str:
        return "-".join(part for part in (self.layer.__name__, self.label) if part)

    def make(self, **more: Any) -> keras.layers.Layer:
        """Return a new layer."""
        return self.layer(**self.arguments, **more)

    def make_built(self, seed: int = 0, **more: Any) -> keras.layers.Layer:
        """Return a new layer, built, with no weight at a value as special as zero or one."""
        keras.utils.set_random_seed(seed)
        layer = self.make(**more)
        layer.build(*self.sized())
        random = np.random.default_rng(seed)
        layer.set_weights([value + random.uniform(-0.2, 0.2, value.shape) for value in layer.get_weights()])
        return layer

    def sized(self, batch: int | None = None, scale: int | None = 1) -> list[tuple[int | None, ...]]:
        """Return the shape of each input, with the sizes that may be unknown times `scale`, or unknown."""
        return [
            (
                batch,
                *(
                    size if axis not in self.unknown else None if scale is None else size * scale
                    for axis, size in enumerate(shape, start=1)
                ),
            )
            for shape in self.shapes
        ]

    def inputs(self, scale: int = 1, seed: int = 0) -> list[np.ndarray]:
        """Return values for each input."""
        random = np.random.default_rng(seed)
        shapes = self.sized(BATCH, scale)
        if self.integers_below is not None:
            return [random.integers(0, self.integers_below, shape).astype("int32") for shape in shapes]
        return [random.standard_normal(shape).astype("float32") for shape in shapes]

    def model(self, layer: keras.layers.Layer, scale: int | None = 1, masked: bool = False) -> keras.Model:
        """Return a functional model of the one layer, behind a `Masking` if it is to be masked."""
        dtype = "float32" if self.integers_below is None else "int32"
        inputs = [keras.Input(shape[1:], dtype=dtype) for shape in self.sized(scale=scale)]
        tensors = [keras.layers.Masking()(tensor) for tensor in inputs] if masked else inputs
        return keras.Model(inputs, layer(*tensors))


def unchanged(mask: np.ndarray) -> np.ndarray:
    """A mask that is passed on as it is."""
    return mask


def extended(mask: np.ndarray) -> np.ndarray:
    """A mask that gains a valid position in front."""
    return np.concatenate([np.ones_like(mask[:, :1]), mask], axis=1)


IMAGE = ((8, 6, 3),)
SEQUENCE = ((6, 8),)

CASES = (
    Case(
        layers.AttentionPooling,
        SEQUENCE,
        {"num_heads": 2},
        unknown=(1,),
        mask=lambda mask: None,
        silent=("key/bias",),
    ),
    Case(
        layers.AttentionPooling,
        SEQUENCE,
        {"num_heads": 4, "num_queries": 3, "dropout": 0.25, "seed": 3},
        unknown=(1,),
        mask=lambda mask: None,
        silent=("key/bias",),
        label="queries",
    ),
    Case(layers.PatchDropout, SEQUENCE, {"rate": 0.5, "prefix": 1, "seed": 3}, unknown=(1,)),
    Case(layers.WindowAttention, ((4, 6, 8),), {"num_heads": 2, "window_size": 2, "use_bias": False}, unknown=(1, 2)),
    Case(
        layers.WindowAttention,
        ((7, 5, 8),),
        {"num_heads": 4, "window_size": 3, "shift": 1, "use_bias": False, "dropout": 0.25, "seed": 3},
        unknown=(1, 2),
        label="shifted",
    ),
    Case(layers.BlurPool, IMAGE, unknown=(1, 2)),
    Case(layers.BlurPool, ((9, 7, 3),), {"kernel_size": 4, "strides": 3}, unknown=(1, 2), label="even"),
    Case(layers.ConvolutionalBlockAttention, IMAGE, {"ratio": 0.7, "kernel_size": 3}, unknown=(1, 2)),
    Case(layers.EfficientChannelAttention, ((6, 4, 16),), unknown=(1, 2)),
    Case(
        layers.EfficientChannelAttention, SEQUENCE, {"kernel_size": 5}, unknown=(1,), mask=unchanged, label="sequence"
    ),
    Case(layers.GlobalResponseNormalization, IMAGE, unknown=(1, 2)),
    Case(
        layers.GlobalResponseNormalization, SEQUENCE, {"epsilon": 1e-3}, unknown=(1,), mask=unchanged, label="sequence"
    ),
    Case(layers.LayerScale, SEQUENCE, {"initial_value": 0.1}, unknown=(1,), mask=unchanged),
    Case(layers.PixelShuffle, ((3, 5, 12),), {"factor": 2}, unknown=(1, 2)),
    Case(layers.PixelUnshuffle, ((6, 9, 2),), {"factor": 3}, unknown=(1, 2)),
    Case(layers.RotaryEmbedding, SEQUENCE, unknown=(1,), mask=unchanged),
    Case(
        layers.RotaryEmbedding,
        ((6, 2, 8),),
        {"base": 100.0, "scaling": "yarn", "factor": 4.0, "original_length": 64},
        unknown=(1, 2),
        label="yarn",
    ),
    Case(layers.SqueezeExcite, IMAGE, {"ratio": 0.7}, unknown=(1, 2)),
    Case(
        layers.SqueezeExcite,
        SEQUENCE,
        {"ratio": 0.5, "activation": "silu", "gate_activation": "hard_sigmoid"},
        unknown=(1,),
        mask=unchanged,
        label="sequence",
    ),
    Case(
        layers.WeightStandardizedConv2D, IMAGE, {"filters": 4, "kernel_size": (3, 3), "padding": "same"}, unknown=(1, 2)
    ),
    Case(
        layers.WeightStandardizedConv2D,
        ((8, 6, 4),),
        {"filters": 4, "kernel_size": (3, 2), "epsilon": 1e-3, "groups": 2, "strides": (2, 2), "use_bias": False},
        label="groups",
    ),
    Case(layers.ClassToken, SEQUENCE, unknown=(1,), mask=extended),
    Case(
        layers.ClassToken,
        SEQUENCE,
        {"registers": 3, "initializer": "ones"},
        mask=lambda mask: np.pad(mask, ((0, 0), (4, 0)), constant_values=True),
        label="registers",
    ),
    Case(
        layers.FeedForward,
        SEQUENCE,
        {"hidden_dim": 12, "activation": "relu", "dropout": 0.25, "seed": 3},
        unknown=(1,),
        mask=unchanged,
    ),
    Case(
        layers.FeedForward,
        SEQUENCE,
        {"hidden_dim": 6, "activation": "silu", "gated": True, "use_bias": False},
        unknown=(1,),
        mask=unchanged,
        label="gated",
    ),
    Case(layers.FeedForward, ((4, 6, 8),), {"hidden_dim": 12}, unknown=(1, 2), label="images"),
    Case(
        layers.MultiHeadAttention,
        SEQUENCE,
        {"num_heads": 2},
        unknown=(1,),
        mask=unchanged,
        silent=("key/bias",),
    ),
    Case(
        layers.MultiHeadAttention,
        SEQUENCE,
        {
            "num_heads": 4,
            "head_dim": 6,
            "num_key_value_heads": 2,
            "causal": True,
            "window": 3,
            "rotary": {"base": 100.0, "scaling": "dynamic", "factor": 2.0, "original_length": 4},
            "query_key_norm": True,
            "dropout": 0.25,
            "seed": 3,
        },
        unknown=(1,),
        mask=unchanged,
        label="causal",
    ),
    Case(
        layers.MultiHeadAttention,
        SEQUENCE,
        {"num_heads": 4, "num_key_value_heads": 2, "window": 3, "use_bias": False, "chunk_size": 4},
        unknown=(1,),
        mask=unchanged,
        label="chunks",
    ),
    Case(
        layers.MultiHeadAttention,
        ((6, 8), (6, 5)),
        {"num_heads": 3, "head_dim": 4, "num_key_value_heads": 1, "use_bias": False},
        unknown=(1,),
        mask=unchanged,
        label="cross",
    ),
    Case(layers.PatchEmbedding, IMAGE, {"dim": 5, "patch_size": 2}, unknown=(1, 2)),
    Case(layers.PatchEmbedding, IMAGE, {"dim": 5, "patch_size": (4, 2)}, unknown=(1,), label="rectangular"),
    Case(
        layers.PatchEmbedding,
        IMAGE,
        {"dim": 5, "patch_size": 3, "strides": 2, "padding": "same"},
        unknown=(1, 2),
        label="overlapping",
    ),
    Case(layers.PatchEmbedding, ((12, 4),), {"dim": 5, "patch_size": 4}, unknown=(1,), label="sequence"),
    Case(
        layers.PatchEmbedding,
        ((4, 4, 2, 3),),
        {"dim": 5, "patch_size": (2, 2, 1), "strides": (2, 1, 1)},
        label="volume",
    ),
    Case(layers.PositionEmbedding, SEQUENCE, {"initializer": "he_normal"}, mask=unchanged),
    Case(layers.PositionEmbedding, SEQUENCE, {"kind": "sine-cosine"}, unknown=(1,), mask=unchanged, label="waves"),
    Case(
        layers.PositionEmbedding,
        ((7, 8),),
        {"kind": "sine-cosine", "grid": (2, 3), "prefix": 1},
        mask=unchanged,
        label="waves on a grid",
    ),
    Case(layers.PositionEmbedding, ((7, 8),), {"grid": (3, 2), "prefix": 1}, mask=unchanged, label="grid"),
    Case(layers.StochasticDepth, SEQUENCE, {"rate": 0.5, "seed": 3}, unknown=(1,), mask=unchanged),
    Case(layers.StochasticDepth, IMAGE, {"rate": 0.0}, unknown=(1, 2, 3), label="off"),
    Case(blocks.BottleneckBlock, IMAGE, {"filters": 4}, unknown=(1, 2)),
    Case(
        blocks.BottleneckBlock,
        ((7, 6, 8),),
        {"filters": 8, "inner_filters": 6, "groups": 3, "strides": 2, "order": "pre", "squeeze": 0.5},
        unknown=(1, 2),
        label="pre",
    ),
    Case(
        blocks.BottleneckBlock,
        ((7, 6, 3),),
        {
            "filters": 6,
            "kernel_size": 5,
            "strides": 2,
            "strides_first": True,
            "shortcut": "average",
            "activation": "silu",
            "stochastic_depth": 0.25,
            "momentum": 0.5,
            "epsilon": 1e-5,
            "seed": 3,
        },
        unknown=(1, 2),
        label="average",
    ),
    Case(
        blocks.ResidualBlock,
        IMAGE,
        {"filters": 4, "order": "pre", "strides": 2, "shortcut": "average", "squeeze": 1.0},
        unknown=(1, 2),
        label="pre",
    ),
    Case(blocks.ConvNeXtBlock, IMAGE, {"kernel_size": 5, "layer_scale": 0.1}, unknown=(1, 2)),
    Case(
        blocks.ConvNeXtBlock,
        IMAGE,
        {
            "expansion": 2,
            "kernel_size": 3,
            "layer_scale": None,
            "response_normalization": True,
            "activation": "silu",
            "stochastic_depth": 0.25,
            "epsilon": 1e-5,
            "seed": 3,
        },
        unknown=(1, 2),
        label="second",
    ),
    Case(blocks.InvertedResidualBlock, IMAGE, {"filters": 3, "expansion": 2}, unknown=(1, 2)),
    Case(
        blocks.InvertedResidualBlock,
        ((7, 6, 3),),
        {"filters": 4, "expansion": 3, "kernel_size": 5, "strides": 2, "squeeze": None, "fused": True},
        unknown=(1, 2),
        label="fused",
    ),
    Case(
        blocks.InvertedResidualBlock,
        IMAGE,
        {
            "filters": 3,
            "expansion": 1,
            "squeeze": 0.5,
            "fused": True,
            "activation": "relu",
            "stochastic_depth": 0.25,
            "momentum": 0.5,
            "epsilon": 1e-4,
            "seed": 3,
        },
        unknown=(1, 2),
        label="whole",
    ),
    Case(blocks.ResidualBlock, IMAGE, {"filters": 3, "momentum": 0.5}, unknown=(1, 2)),
    Case(
        blocks.ResidualBlock,
        ((7, 6, 3),),
        {"filters": 4, "kernel_size": 5, "strides": 2, "activation": "gelu"},
        unknown=(1, 2),
        label="strided",
    ),
    Case(
        blocks.TransformerEncoderBlock,
        SEQUENCE,
        {"num_heads": 2, "hidden_dim": 12},
        unknown=(1,),
        mask=unchanged,
        silent=("attention/key/bias",),
    ),
    Case(
        blocks.TransformerEncoderBlock,
        SEQUENCE,
        {
            "num_heads": 4,
            "hidden_dim": 6,
            "order": "parallel",
            "normalization": "rms",
            "layer_scale": 0.5,
            "attention_options": {"use_bias": False, "rotary": {}, "num_key_value_heads": 2},
            "feed_forward_options": {"gated": True, "use_bias": False},
        },
        unknown=(1,),
        mask=unchanged,
        label="parallel",
    ),
    Case(
        blocks.TransformerDecoderBlock,
        SEQUENCE,
        {"num_heads": 2, "hidden_dim": 12, "order": "post"},
        unknown=(1,),
        mask=unchanged,
        silent=("attention/key/bias",),
    ),
    Case(
        blocks.TransformerDecoderBlock,
        ((6, 8), (6, 5)),
        {"num_heads": 2, "hidden_dim": 12, "attention_options": {"rotary": {}, "window": 3}},
        unknown=(1,),
        mask=unchanged,
        silent=("context_attention/key/bias",),
        label="context",
    ),
    Case(
        blocks.CrossAttentionBlock,
        ((6, 8), (6, 5)),
        {"num_heads": 2, "hidden_dim": 12, "attention_options": {"num_key_value_heads": 1}, "seed": 3},
        unknown=(1,),
        mask=unchanged,
        silent=("attention/key/bias",),
    ),
    Case(
        blocks.CrossAttentionBlock,
        ((6, 8), (6, 5)),
        {"num_heads": 2, "hidden_dim": 12, "order": "parallel", "dropout": 0.1, "stochastic_depth": 0.2},
        mask=unchanged,
        silent=("attention/key/bias",),
        label="parallel",
    ),
    Case(
        blocks.TransformerEncoderBlock,
        SEQUENCE,
        {
            "num_heads": 4,
            "hidden_dim": 6,
            "activation": "tanh",
            "dropout": 0.1,
            "stochastic_depth": 0.25,
            "epsilon": 1e-5,
            "seed": 3,
        },
        mask=unchanged,
        silent=("attention/key/bias",),
        label="random",
    ),
)
CASES += (
    Case(layers.PatchMerging, ((7, 6, 3),), unknown=(1, 2)),
    Case(layers.PatchMerging, ((4, 6, 3),), {"dim": 5, "epsilon": 1e-3}, label="narrow"),
    Case(blocks.SwinBlock, ((7, 5, 8),), {"num_heads": 2, "window_size": 3, "shift": 1}, unknown=(1, 2)),
    Case(
        blocks.SwinStage,
        ((8, 6, 4),),
        {
            "depth": 2,
            "num_heads": 2,
            "window_size": 2,
            "merge": True,
            "expansion": 2,
            "dropout": 0.1,
            "stochastic_depth": 0.2,
            "epsilon": 1e-4,
            "seed": 3,
        },
        unknown=(1, 2),
    ),
    *(
        Case(
            layers.SequencePooling,
            SEQUENCE,
            {"kind": kind},
            unknown=(1,),
            mask=lambda mask: None,
            label=kind,
        )
        for kind in ("avg", "max", "first", "last")
    ),
    Case(layers.PixelNormalization, IMAGE, unknown=(1, 2), silent=("means", "deviations")),
    Case(
        layers.PixelNormalization,
        ((4, 6, 2),),
        {"mean": [0.5, 1.5], "deviation": [2.0, 0.25]},
        unknown=(1, 2),
        silent=("means", "deviations"),
        label="given",
    ),
    Case(blocks.MLPBlock, SEQUENCE, {"hidden_dim": 12}, unknown=(1,), mask=unchanged),
    Case(
        blocks.MLPBlock,
        ((8,),),
        {
            "hidden_dim": 12,
            "units": 5,
            "activation": "gelu",
            "normalization": "batch",
            "dropout": 0.1,
            "stochastic_depth": 0.2,
            "epsilon": 1e-3,
            "feed_forward_options": {"gated": True},
            "seed": 3,
        },
        label="batch",
    ),
    Case(layers.FeedForward, SEQUENCE, {"hidden_dim": 6, "units": 4}, unknown=(1,), mask=unchanged, label="units"),
    Case(blocks.MixerBlock, SEQUENCE, {"token_dim": 5, "channel_dim": 12}),
    Case(
        blocks.MixerBlock,
        SEQUENCE,
        {
            "token_dim": 5,
            "channel_dim": 12,
            "activation": "relu",
            "dropout": 0.1,
            "stochastic_depth": 0.2,
            "epsilon": 1e-5,
            "seed": 3,
        },
        label="random",
    ),
    Case(blocks.TemporalConvolutionBlock, SEQUENCE, {"filters": 4, "dilation": 2}, unknown=(1,), mask=unchanged),
    Case(
        blocks.TemporalConvolutionBlock,
        SEQUENCE,
        {
            "filters": 8,
            "kernel_size": 5,
            "causal": False,
            "activation": "silu",
            "dropout": 0.1,
            "epsilon": None,
            "seed": 3,
        },
        unknown=(1,),
        mask=unchanged,
        label="both sides",
    ),
    Case(blocks.UNetEncoderBlock, ((8, 6, 3),), {"filters": 4}, unknown=(1, 2), silent=("convolution_1/bias",)),
    Case(blocks.UNetEncoderBlock, ((8, 6, 3),), {"filters": 4, "halve": False, "kernel_size": 5}, label="whole"),
    Case(blocks.UNetDecoderBlock, ((4, 3, 5), (8, 6, 3)), {"filters": 4}, unknown=(1, 2)),
    Case(
        blocks.UNetDecoderBlock,
        ((3, 3, 5), (5, 6, 3)),
        {"filters": 4, "interpolation": "nearest", "activation": "silu", "momentum": 0.5, "epsilon": 1e-4},
        label="nearest",
    ),
)
MASKED = tuple(case for case in CASES if case.mask is not None)
