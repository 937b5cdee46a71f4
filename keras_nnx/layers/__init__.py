"""Layers: one primitive per file."""

from keras_nnx.layers.class_token import ClassToken
from keras_nnx.layers.feed_forward import FeedForward
from keras_nnx.layers.patch_embedding import PatchEmbedding
from keras_nnx.layers.position_embedding import PositionEmbedding
from keras_nnx.layers.stochastic_depth import StochasticDepth

__all__ = ["ClassToken", "FeedForward", "PatchEmbedding", "PositionEmbedding", "StochasticDepth"]
