"""Models: builders made of blocks."""

from keras_nnx.models.resnet import ResNet
from keras_nnx.models.vit import ViT

__all__ = ["ResNet", "ViT"]
