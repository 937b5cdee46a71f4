"""Models: builders made of blocks."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from keras_nnx.models._freezing import freeze
from keras_nnx.models.convnext import ConvNeXt
from keras_nnx.models.crnn import CRNN
from keras_nnx.models.dcgan import DCGANDiscriminator, DCGANGenerator
from keras_nnx.models.deit import DeiT, fuse_heads
from keras_nnx.models.efficientnet import EfficientNet
from keras_nnx.models.greedy_decoder import greedy_decoder
from keras_nnx.models.language_model import LanguageModel
from keras_nnx.models.residual_gan import ResidualDiscriminator, ResidualGenerator
from keras_nnx.models.resnet import ResNet
from keras_nnx.models.sequence_classifier import SequenceClassifier
from keras_nnx.models.sequence_forecaster import SequenceForecaster
from keras_nnx.models.sequence_to_sequence import SequenceToSequence
from keras_nnx.models.swin import Swin
from keras_nnx.models.temporal import TemporalConvNet
from keras_nnx.models.transformer_decoder import TransformerDecoder
from keras_nnx.models.transformer_encoder import TransformerEncoder
from keras_nnx.models.transformer_seq2seq import TransformerSeq2Seq
from keras_nnx.models.unet import UNet
from keras_nnx.models.vit import ViT

if TYPE_CHECKING:
    from keras_nnx.models.pretrained import Carried, load_pretrained

__all__ = [
    "CRNN",
    "Carried",
    "ConvNeXt",
    "DCGANDiscriminator",
    "DCGANGenerator",
    "DeiT",
    "EfficientNet",
    "LanguageModel",
    "ResNet",
    "ResidualDiscriminator",
    "ResidualGenerator",
    "SequenceClassifier",
    "SequenceForecaster",
    "SequenceToSequence",
    "Swin",
    "TemporalConvNet",
    "TransformerDecoder",
    "TransformerEncoder",
    "TransformerSeq2Seq",
    "UNet",
    "ViT",
    "freeze",
    "fuse_heads",
    "greedy_decoder",
    "load_pretrained",
]


def __getattr__(name: str) -> Any:
    # Carrying weights over is imported on first use: most programs never do.
    if name in ("Carried", "load_pretrained"):
        return getattr(importlib.import_module("keras_nnx.models.pretrained"), name)
    raise AttributeError(f"module 'keras_nnx.models' has no attribute {name!r}")
