"""Blocks: compositions of layers."""

from keras_nnx.blocks.residual import ResidualBlock
from keras_nnx.blocks.transformer_encoder import TransformerEncoderBlock

__all__ = ["ResidualBlock", "TransformerEncoderBlock"]
