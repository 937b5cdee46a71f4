"""Layers: one primitive per file."""

from keras_nnx.layers.adaptive_instance_normalization import AdaptiveInstanceNormalization
from keras_nnx.layers.additive_attention_pooling import AdditiveAttentionPooling
from keras_nnx.layers.attention_pooling import AttentionPooling
from keras_nnx.layers.blur_pool import BlurPool
from keras_nnx.layers.class_token import ClassToken
from keras_nnx.layers.conditional_batch_normalization import ConditionalBatchNormalization
from keras_nnx.layers.convolutional_block_attention import ConvolutionalBlockAttention
from keras_nnx.layers.differentiable_augmentation import DifferentiableAugmentation
from keras_nnx.layers.efficient_channel_attention import EfficientChannelAttention
from keras_nnx.layers.feed_forward import FeedForward
from keras_nnx.layers.global_response_normalization import GlobalResponseNormalization
from keras_nnx.layers.label_concatenation import LabelConcatenation
from keras_nnx.layers.layer_normalization_gru_cell import LayerNormalizationGRUCell
from keras_nnx.layers.layer_normalization_lstm_cell import LayerNormalizationLSTMCell
from keras_nnx.layers.layer_scale import LayerScale
from keras_nnx.layers.minibatch_standard_deviation import MinibatchStandardDeviation
from keras_nnx.layers.multi_head_attention import MultiHeadAttention
from keras_nnx.layers.multiplicative_attention_pooling import MultiplicativeAttentionPooling
from keras_nnx.layers.patch_dropout import PatchDropout
from keras_nnx.layers.patch_embedding import PatchEmbedding
from keras_nnx.layers.patch_merging import PatchMerging
from keras_nnx.layers.pixel_normalization import PixelNormalization
from keras_nnx.layers.pixel_shuffle import PixelShuffle
from keras_nnx.layers.pixel_unshuffle import PixelUnshuffle
from keras_nnx.layers.position_embedding import PositionEmbedding
from keras_nnx.layers.projection_head import ProjectionHead
from keras_nnx.layers.rotary_embedding import RotaryEmbedding
from keras_nnx.layers.sequence_pooling import SequencePooling
from keras_nnx.layers.spatial_self_attention import SpatialSelfAttention
from keras_nnx.layers.spectral_normalization import SpectralNormalization
from keras_nnx.layers.squeeze_excite import SqueezeExcite
from keras_nnx.layers.stochastic_depth import StochasticDepth
from keras_nnx.layers.weight_standardized_conv2d import WeightStandardizedConv2D
from keras_nnx.layers.window_attention import WindowAttention

__all__ = [
    "AdaptiveInstanceNormalization",
    "AdditiveAttentionPooling",
    "AttentionPooling",
    "BlurPool",
    "ClassToken",
    "ConditionalBatchNormalization",
    "ConvolutionalBlockAttention",
    "DifferentiableAugmentation",
    "EfficientChannelAttention",
    "FeedForward",
    "GlobalResponseNormalization",
    "LabelConcatenation",
    "LayerNormalizationGRUCell",
    "LayerNormalizationLSTMCell",
    "LayerScale",
    "MinibatchStandardDeviation",
    "MultiHeadAttention",
    "MultiplicativeAttentionPooling",
    "PatchDropout",
    "PatchEmbedding",
    "PatchMerging",
    "PixelNormalization",
    "PixelShuffle",
    "PixelUnshuffle",
    "PositionEmbedding",
    "ProjectionHead",
    "RotaryEmbedding",
    "SequencePooling",
    "SpatialSelfAttention",
    "SpectralNormalization",
    "SqueezeExcite",
    "StochasticDepth",
    "WeightStandardizedConv2D",
    "WindowAttention",
]
