"""Models: builders made of blocks, each imported on first use.

Layers that only models have are imported here and now, so that Keras knows their names when it loads a model.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from keras_nnx.models import _greedy_decoding, _quantile_levels, _transformer  # noqa: F401 (they register layers)

if TYPE_CHECKING:
    from keras_nnx.models._freezing import freeze
    from keras_nnx.models.convnext import ConvNeXt
    from keras_nnx.models.crnn import CRNN
    from keras_nnx.models.dcgan import DCGANDiscriminator, DCGANGenerator
    from keras_nnx.models.decoding import greedy_decoder
    from keras_nnx.models.deit import DeiT, fuse_heads
    from keras_nnx.models.efficientnet import EfficientNet
    from keras_nnx.models.language_model import LanguageModel
    from keras_nnx.models.pretrained import Carried, load_pretrained
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

_FILES = {
    "CRNN": "crnn",
    "Carried": "pretrained",
    "ConvNeXt": "convnext",
    "DCGANDiscriminator": "dcgan",
    "DCGANGenerator": "dcgan",
    "DeiT": "deit",
    "EfficientNet": "efficientnet",
    "LanguageModel": "language_model",
    "ResNet": "resnet",
    "ResidualDiscriminator": "residual_gan",
    "ResidualGenerator": "residual_gan",
    "SequenceClassifier": "sequence_classifier",
    "SequenceForecaster": "sequence_forecaster",
    "SequenceToSequence": "sequence_to_sequence",
    "Swin": "swin",
    "TemporalConvNet": "temporal",
    "TransformerDecoder": "transformer_decoder",
    "TransformerEncoder": "transformer_encoder",
    "TransformerSeq2Seq": "transformer_seq2seq",
    "UNet": "unet",
    "ViT": "vit",
    "freeze": "_freezing",
    "fuse_heads": "deit",
    "greedy_decoder": "decoding",
    "load_pretrained": "pretrained",
}


def __getattr__(name: str) -> Any:
    if name in _FILES:
        return getattr(importlib.import_module(f"keras_nnx.models.{_FILES[name]}"), name)
    raise AttributeError(f"module 'keras_nnx.models' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
