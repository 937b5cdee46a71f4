"""Blocks: compositions of layers."""

from keras_nnx.blocks.convnext import ConvNeXtBlock
from keras_nnx.blocks.inverted_residual import InvertedResidualBlock
from keras_nnx.blocks.residual import ResidualBlock
from keras_nnx.blocks.transformer_encoder import TransformerEncoderBlock

__all__ = ["ConvNeXtBlock", "InvertedResidualBlock", "ResidualBlock", "TransformerEncoderBlock"]
