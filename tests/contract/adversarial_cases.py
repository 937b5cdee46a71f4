"""The cases of layers and blocks of generators and discriminators."""

import dataclasses

import keras

from keras_nnx import blocks, layers
from tests.contract.case import IMAGE, Case


@dataclasses.dataclass(frozen=True, eq=False)
class WrapperCase(Case):
    """A wrapper, around the layer that `wrapped` makes."""

    wrapped: type[keras.layers.Layer] = keras.layers.Dense
    options: dict = dataclasses.field(default_factory=lambda: {"units": 4})

    def make(self, **more):
        dtype = {"dtype": more["dtype"]} if "dtype" in more else {}
        return self.layer(self.wrapped(**self.options, **dtype), **self.arguments, **more)


LABELLED = {"integers_below": 3, "integers": (1,)}

CASES = (
    Case(layers.AdaptiveInstanceNormalization, ((6, 4, 3), (5,)), unknown=(1, 2), fixed=(1,)),
    Case(layers.AdaptiveInstanceNormalization, ((3, 5, 3), (4,)), {"epsilon": 1e-3}, label="epsilon"),
    Case(layers.ConditionalBatchNormalization, ((6, 4, 3), ()), {"num_classes": 3}, unknown=(1, 2), **LABELLED),
    Case(
        layers.ConditionalBatchNormalization,
        ((5,), (1,)),
        {"num_classes": 3, "momentum": 0.5, "epsilon": 1e-4},
        label="vectors",
        **LABELLED,
    ),
    Case(layers.DifferentiableAugmentation, IMAGE, {"seed": 3}),
    Case(
        layers.DifferentiableAugmentation,
        IMAGE,
        {"policy": ("translation", "cutout"), "translation": 0.5, "cutout": 0.25, "seed": 3},
        label="whole pixels",
    ),
    Case(layers.DifferentiableAugmentation, IMAGE, {"policy": ("color",)}, unknown=(1, 2), label="color"),
    Case(layers.LabelConcatenation, ((6, 4, 3), ()), {"num_classes": 3}, unknown=(1, 2), **LABELLED),
    Case(layers.LabelConcatenation, ((5,), (1,)), {"num_classes": 3, "dim": 2}, label="vectors", **LABELLED),
    Case(layers.MinibatchStandardDeviation, IMAGE, unknown=(1, 2), across=True),
    Case(
        layers.MinibatchStandardDeviation,
        ((4, 3, 6),),
        {"group_size": None, "channels": 3, "epsilon": 1e-6},
        across=True,
        label="channels",
    ),
    Case(layers.MinibatchStandardDeviation, ((4, 3, 2),), {"group_size": 2}, across=True, label="pairs"),
    Case(layers.ProjectionHead, ((5,),)),
    Case(
        layers.ProjectionHead,
        ((5,), ()),
        {"num_classes": 3, "normalization": "spectral"},
        label="classes",
        **LABELLED,
    ),
    Case(layers.SpatialSelfAttention, ((5, 6, 8),), unknown=(1, 2)),
    Case(
        layers.SpatialSelfAttention,
        IMAGE,
        {"key_ratio": 0.5, "value_ratio": 1.0, "pool_size": 1, "normalization": "spectral"},
        label="spectral",
    ),
    WrapperCase(layers.SpectralNormalization, ((5,),)),
    WrapperCase(
        layers.SpectralNormalization,
        IMAGE,
        {"power_iterations": 3},
        unknown=(1, 2),
        label="convolution",
        wrapped=keras.layers.Conv2D,
        options={"filters": 4, "kernel_size": 3, "padding": "same", "activation": "relu"},
    ),
    WrapperCase(
        layers.SpectralNormalization,
        ((4, 3, 2),),
        label="transposed",
        wrapped=keras.layers.Conv2DTranspose,
        options={"filters": 4, "kernel_size": 4, "strides": 2, "padding": "same"},
    ),
    WrapperCase(
        layers.SpectralNormalization,
        ((3,),),
        integers_below=4,
        label="embedding",
        wrapped=keras.layers.Embedding,
        options={"input_dim": 4, "output_dim": 3},
    ),
    Case(blocks.DiscriminatorResidualBlock, IMAGE, {"filters": 4}, unknown=(1, 2)),
    Case(
        blocks.DiscriminatorResidualBlock,
        ((5, 6, 3),),
        {"filters": 4, "position": "first", "normalization": None, "kernel_size": 1, "activation": "silu"},
        unknown=(1, 2),
        label="first",
    ),
    Case(blocks.DiscriminatorResidualBlock, IMAGE, {"filters": 3, "downsample": False}, label="whole"),
    Case(blocks.GeneratorResidualBlock, ((4, 3, 5),), {"filters": 4}, unknown=(1, 2)),
    Case(
        blocks.GeneratorResidualBlock,
        ((4, 3, 5), ()),
        {"filters": 4, "num_classes": 3, "activation": "silu", "momentum": 0.5, "epsilon": 1e-4, "kernel_size": 1},
        unknown=(1, 2),
        label="classes",
        **LABELLED,
    ),
    Case(blocks.GeneratorResidualBlock, IMAGE, {"filters": 3, "upsample": False}, label="whole"),
    Case(blocks.StridedConvolutionBlock, IMAGE, {"filters": 4}, unknown=(1, 2)),
    Case(
        blocks.StridedConvolutionBlock,
        ((5, 7, 3),),
        {"filters": 4, "kernel_size": 5, "strides": 1, "normalization": "spectral", "activation": "silu"},
        unknown=(1, 2),
        label="spectral",
    ),
    Case(blocks.StridedConvolutionBlock, IMAGE, {"filters": 4, "normalization": None}, label="bare"),
    Case(blocks.TransposedConvolutionBlock, ((4, 3, 5),), {"filters": 4}, unknown=(1, 2)),
    Case(
        blocks.TransposedConvolutionBlock,
        ((4, 3, 5),),
        {"filters": 4, "kernel_size": 3, "normalization": "spectral", "activation": "silu"},
        unknown=(1, 2),
        label="spectral",
    ),
    Case(
        blocks.TransposedConvolutionBlock,
        ((4, 3, 5),),
        {"filters": 4, "strides": 1, "normalization": "batch", "momentum": 0.5, "epsilon": 1e-4},
        label="momentum",
    ),
)
