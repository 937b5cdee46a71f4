"""Optimizers: what fine-tuning needs around those of Keras."""

from keras_nnx.optimizers.layerwise_decay import LayerwiseDecay

__all__ = ["LayerwiseDecay"]
