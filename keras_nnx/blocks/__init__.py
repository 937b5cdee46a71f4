"""Blocks: compositions of layers."""

from keras_nnx.blocks.attention_decoder import AttentionDecoderBlock
from keras_nnx.blocks.bottleneck import BottleneckBlock
from keras_nnx.blocks.convnext import ConvNeXtBlock
from keras_nnx.blocks.convolutional_recurrent import ConvolutionalRecurrentBlock
from keras_nnx.blocks.cross_attention import CrossAttentionBlock
from keras_nnx.blocks.discriminator_residual import DiscriminatorResidualBlock
from keras_nnx.blocks.generator_residual import GeneratorResidualBlock
from keras_nnx.blocks.inverted_residual import InvertedResidualBlock
from keras_nnx.blocks.mixer import MixerBlock
from keras_nnx.blocks.mlp import MLPBlock
from keras_nnx.blocks.recurrent import RecurrentBlock
from keras_nnx.blocks.residual import ResidualBlock
from keras_nnx.blocks.strided_convolution import StridedConvolutionBlock
from keras_nnx.blocks.swin import SwinBlock, SwinStage
from keras_nnx.blocks.temporal_convolution import TemporalConvolutionBlock
from keras_nnx.blocks.transformer_decoder import TransformerDecoderBlock
from keras_nnx.blocks.transformer_encoder import TransformerEncoderBlock
from keras_nnx.blocks.transposed_convolution import TransposedConvolutionBlock
from keras_nnx.blocks.unet import UNetDecoderBlock, UNetEncoderBlock

__all__ = [
    "AttentionDecoderBlock",
    "BottleneckBlock",
    "ConvNeXtBlock",
    "ConvolutionalRecurrentBlock",
    "CrossAttentionBlock",
    "DiscriminatorResidualBlock",
    "GeneratorResidualBlock",
    "InvertedResidualBlock",
    "MLPBlock",
    "MixerBlock",
    "RecurrentBlock",
    "ResidualBlock",
    "StridedConvolutionBlock",
    "SwinBlock",
    "SwinStage",
    "TemporalConvolutionBlock",
    "TransformerDecoderBlock",
    "TransformerEncoderBlock",
    "TransposedConvolutionBlock",
    "UNetDecoderBlock",
    "UNetEncoderBlock",
]
