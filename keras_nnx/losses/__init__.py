"""Losses: one per file."""

from keras_nnx.losses.distillation import DistillationLoss
from keras_nnx.losses.quantile import QuantileLoss

__all__ = ["DistillationLoss", "QuantileLoss"]
