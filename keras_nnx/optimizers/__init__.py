"""Optimizers: what fine-tuning and schedules need beside those of Keras."""

from keras_nnx.optimizers.layerwise_decay import LayerwiseDecay
from keras_nnx.optimizers.scheduled_sgd import ScheduledSGD

__all__ = ["LayerwiseDecay", "ScheduledSGD"]
