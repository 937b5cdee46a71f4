"""The cases of the other layers: convolution, feed-forward and normalisation."""

from keras_nnx import layers
from tests.contract.case import IMAGE, SEQUENCE, Case, unchanged

CASES = (
    Case(layers.BlurPool, IMAGE, unknown=(1, 2)),
    Case(layers.BlurPool, ((9, 7, 3),), {"kernel_size": 4, "strides": 3}, unknown=(1, 2), label="even"),
    Case(layers.ConvolutionalBlockAttention, IMAGE, {"ratio": 0.7, "kernel_size": 3}, unknown=(1, 2)),
    Case(layers.EfficientChannelAttention, ((6, 4, 16),), unknown=(1, 2)),
    Case(
        layers.EfficientChannelAttention, SEQUENCE, {"kernel_size": 5}, unknown=(1,), mask=unchanged, label="sequence"
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
    Case(layers.FeedForward, SEQUENCE, {"hidden_dim": 6, "units": 4}, unknown=(1,), mask=unchanged, label="units"),
    Case(layers.GlobalResponseNormalization, IMAGE, unknown=(1, 2)),
    Case(
        layers.GlobalResponseNormalization, SEQUENCE, {"epsilon": 1e-3}, unknown=(1,), mask=unchanged, label="sequence"
    ),
    Case(layers.LayerScale, SEQUENCE, {"initial_value": 0.1}, unknown=(1,), mask=unchanged),
    Case(layers.PixelNormalization, IMAGE, unknown=(1, 2), silent=("means", "deviations")),
    Case(
        layers.PixelNormalization,
        ((4, 6, 2),),
        {"mean": [0.5, 1.5], "deviation": [2.0, 0.25]},
        unknown=(1, 2),
        silent=("means", "deviations"),
        label="given",
    ),
    Case(layers.PixelShuffle, ((3, 5, 12),), {"factor": 2}, unknown=(1, 2)),
    Case(layers.PixelUnshuffle, ((6, 9, 2),), {"factor": 3}, unknown=(1, 2)),
    Case(layers.SqueezeExcite, IMAGE, {"ratio": 0.7}, unknown=(1, 2)),
    Case(
        layers.SqueezeExcite,
        SEQUENCE,
        {"ratio": 0.5, "activation": "silu", "gate_activation": "hard_sigmoid"},
        unknown=(1,),
        mask=unchanged,
        label="sequence",
    ),
    Case(layers.StochasticDepth, SEQUENCE, {"rate": 0.5, "seed": 3}, unknown=(1,), mask=unchanged),
    Case(layers.StochasticDepth, IMAGE, {"rate": 0.0}, unknown=(1, 2, 3), label="off"),
    Case(
        layers.WeightStandardizedConv2D, IMAGE, {"filters": 4, "kernel_size": (3, 3), "padding": "same"}, unknown=(1, 2)
    ),
    Case(
        layers.WeightStandardizedConv2D,
        ((8, 6, 4),),
        {"filters": 4, "kernel_size": (3, 2), "epsilon": 1e-3, "groups": 2, "strides": (2, 2), "use_bias": False},
        label="groups",
    ),
)
