"""The cases of recurrent cells, blocks, and of attention over their steps."""

import dataclasses

import keras

from keras_nnx import blocks, layers
from tests.contract.case import SEQUENCE, Case, unchanged


@dataclasses.dataclass(frozen=True, eq=False)
class CellCase(Case):
    """A recurrent cell, which is called by `keras.layers.RNN`."""

    def make(self, **more):
        dtype = {"dtype": more["dtype"]} if "dtype" in more else {}
        cell = self.layer(**self.arguments, **dtype)
        return keras.layers.RNN(cell, return_sequences=True, **more)

    def passed_in(self, config):
        return config["cell"]["config"]


def ended(mask):
    """A mask that is used, and not passed on."""
    return


CASES = (
    Case(layers.AdditiveAttentionPooling, SEQUENCE, {"units": 5}, unknown=(1,), mask=ended),
    Case(layers.AdditiveAttentionPooling, ((6, 8), (3,)), {"units": 5}, label="query"),
    Case(layers.MultiplicativeAttentionPooling, SEQUENCE, unknown=(1,), mask=ended),
    Case(layers.MultiplicativeAttentionPooling, ((6, 8), (3,)), label="query"),
    Case(layers.MultiplicativeAttentionPooling, ((6, 8), (8,)), {"kind": "dot"}, label="dot"),
    CellCase(layers.LayerNormalizationLSTMCell, SEQUENCE, {"units": 4}, unknown=(1,), mask=unchanged),
    CellCase(
        layers.LayerNormalizationLSTMCell,
        ((3, 8),),
        {
            "units": 3,
            "epsilon": 1e-3,
            "activation": "relu",
            "recurrent_activation": "hard_sigmoid",
            "use_bias": False,
            "dropout": 0.1,
            "recurrent_dropout": 0.2,
            "seed": 3,
        },
        mask=unchanged,
        label="dropping",
    ),
    CellCase(layers.LayerNormalizationGRUCell, SEQUENCE, {"units": 4}, unknown=(1,), mask=unchanged),
    CellCase(
        layers.LayerNormalizationGRUCell,
        ((3, 8),),
        {"units": 3, "epsilon": 1e-3, "use_bias": False, "dropout": 0.1, "recurrent_dropout": 0.2, "seed": 3},
        mask=unchanged,
        label="dropping",
    ),
    Case(blocks.RecurrentBlock, SEQUENCE, {"units": 8}, unknown=(1,), mask=unchanged),
    Case(
        blocks.RecurrentBlock,
        SEQUENCE,
        {"units": 4, "cell": "gru", "bidirectional": True, "projection_dim": 5, "dropout": 0.1, "seed": 3},
        unknown=(1,),
        mask=unchanged,
        label="both directions",
    ),
    Case(
        blocks.RecurrentBlock,
        ((3, 8),),
        {"units": 4, "bidirectional": True, "merge": "sum", "residual": False, "epsilon": None},
        mask=unchanged,
        label="bare",
    ),
    Case(
        blocks.ConvolutionalRecurrentBlock,
        SEQUENCE,
        {"filters": 4, "units": 5, "recurrent_options": {"bidirectional": True, "merge": "ave"}},
        unknown=(1,),
        mask=unchanged,
    ),
    Case(
        blocks.ConvolutionalRecurrentBlock,
        SEQUENCE,
        {
            "filters": 4,
            "units": 4,
            "kernel_size": 2,
            "causal": True,
            "activation": "silu",
            "recurrent_options": {"cell": "gru", "dropout": 0.1},
        },
        mask=unchanged,
        label="causal",
    ),
    Case(
        blocks.AttentionDecoderBlock,
        ((6, 8), (6, 5)),
        {"units": 8},
        unknown=(1,),
        mask=unchanged,
    ),
    Case(
        blocks.AttentionDecoderBlock,
        ((4, 8), (6, 5), (3,)),
        {"units": 4, "cell": "gru", "dropout": 0.1, "epsilon": 1e-3, "seed": 3},
        label="state",
    ),
    Case(
        blocks.AttentionDecoderBlock,
        ((4, 8), (6, 5), (3,), (4,)),
        {"units": 4, "residual": False, "epsilon": None},
        label="states",
    ),
)
