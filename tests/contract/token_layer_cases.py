"""The cases of layers over tokens: attention, patches and positions."""

import numpy as np

from keras_nnx import layers
from tests.contract.case import IMAGE, SEQUENCE, Case, extended, unchanged

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
    Case(layers.ClassToken, SEQUENCE, unknown=(1,), mask=extended),
    Case(
        layers.ClassToken,
        SEQUENCE,
        {"registers": 3, "initializer": "ones"},
        mask=lambda mask: np.pad(mask, ((0, 0), (4, 0)), constant_values=True),
        label="registers",
    ),
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
    Case(layers.PatchDropout, SEQUENCE, {"rate": 0.5, "prefix": 1, "seed": 3}, unknown=(1,)),
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
    Case(layers.PatchMerging, ((7, 6, 3),), unknown=(1, 2)),
    Case(layers.PatchMerging, ((4, 6, 3),), {"dim": 5, "epsilon": 1e-3}, label="narrow"),
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
    Case(layers.RotaryEmbedding, SEQUENCE, unknown=(1,), mask=unchanged),
    Case(
        layers.RotaryEmbedding,
        ((6, 2, 8),),
        {"base": 100.0, "scaling": "yarn", "factor": 4.0, "original_length": 64},
        unknown=(1, 2),
        label="yarn",
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
    Case(layers.WindowAttention, ((4, 6, 8),), {"num_heads": 2, "window_size": 2, "use_bias": False}, unknown=(1, 2)),
    Case(
        layers.WindowAttention,
        ((7, 5, 8),),
        {"num_heads": 4, "window_size": 3, "shift": 1, "use_bias": False, "dropout": 0.25, "seed": 3},
        unknown=(1, 2),
        label="shifted",
    ),
)
