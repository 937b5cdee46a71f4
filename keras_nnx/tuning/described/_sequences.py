"""Descriptions of the models for sequences.

Where None pools nothing, `pooling` says what the answer is, and is not searched.
"""

from __future__ import annotations

from typing import Any

from keras_nnx.tuning.described import _common as common
from keras_nnx.tuning.described._description import Description
from keras_nnx.tuning.ranges import Bool, Choice, Int, Repeat

_UNITS = Repeat(common.UNITS, Int(1, 2))
_DIM = Int(16, 128, step=16, default=64)
_DEPTH = Int(1, 4, default=2)
_SIZE: dict[str, Any] = {"num_heads": common.HEADS, "hidden_dim": common.HIDDEN, "order": common.ORDER}
_ENCODER: dict[str, Any] = {"dim": Int(32, 128, step=16, default=64), "depth": _DEPTH, **_SIZE}
_BOTH: dict[str, Any] = {"dim": _ENCODER["dim"], "depth": _DEPTH, "decoder_depth": _DEPTH, **_SIZE}
_TRAINING: dict[str, Any] = {"dropout": common.DROPOUT, "stochastic_depth": common.STOCHASTIC_DEPTH}
_BLOCK_OPTIONS: dict[str, Any] = {
    "activation": common.activation("gelu"),
    "normalization": common.NORMALIZATION,
    "feed_forward_options": common.GATES,
}
_ADDED = Choice(["sine-cosine", "rotary"])
_TURNED = Choice(["rotary", "sine-cosine"])

SEQUENCES = {
    "LanguageModel": Description(
        {"units": _UNITS, "cell": common.CELL, "dropout": common.DROPOUT, "tie_embeddings": Bool()},
        {"classes": ("tie_embeddings",), "dim": ("tie_embeddings",)},
    ),
    "SequenceClassifier": Description(
        {
            "units": _UNITS,
            "cell": common.CELL,
            "bidirectional": Bool(),
            "dim": _DIM,
            "dropout": common.DROPOUT,
            "pooling": Choice(list(common.STEP_POOLING)),
        }
    ),
    "SequenceForecaster": Description(
        {
            "units": _UNITS,
            "cell": common.CELL,
            "bidirectional": Bool(),
            "dim": _DIM,
            "dropout": common.DROPOUT,
            "pooling": Choice(list(common.STEP_POOLING), default="last"),
        }
    ),
    "SequenceToSequence": Description(
        {
            "units": _UNITS,
            "cell": common.CELL,
            "bidirectional": Bool(default=True),
            "dim": _DIM,
            "dropout": common.DROPOUT,
        }
    ),
    "TemporalConvNet": Description(
        {
            "filters": Repeat(common.FILTERS, Int(2, 5, default=4), same=True),
            "kernel_size": common.KERNEL_OF_STEPS,
            "dropout": common.DROPOUT,
        }
    ),
    "TransformerDecoder": Description(
        {**_ENCODER, "positions": _TURNED, **_TRAINING, "tie_embeddings": Bool(), "block_options": _BLOCK_OPTIONS},
        {"variant": tuple(_ENCODER), "classes": ("tie_embeddings",)},
    ),
    "TransformerEncoder": Description(
        {**_ENCODER, "positions": _ADDED, **_TRAINING, "block_options": _BLOCK_OPTIONS},
        {"variant": tuple(_ENCODER)},
    ),
    "TransformerSeq2Seq": Description(
        {**_BOTH, "positions": _ADDED, **_TRAINING, "block_options": _BLOCK_OPTIONS},
        {"variant": tuple(_BOTH)},
    ),
}
