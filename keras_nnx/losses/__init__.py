"""Losses: one per file."""

from keras_nnx.losses.distillation import DistillationLoss

__all__ = ["DistillationLoss"]
