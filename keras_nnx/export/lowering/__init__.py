"""Stage 2: the same weights, another graph."""

from keras_nnx.export.lowering.layers import register_lowering
from keras_nnx.export.lowering.operators import register_decomposition

__all__ = ["register_decomposition", "register_lowering"]
