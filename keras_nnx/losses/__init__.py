"""Losses: one per file."""

from keras_nnx.losses._gan import GANLoss as GANLoss
from keras_nnx.losses.distillation import DistillationLoss
from keras_nnx.losses.hinge import HingeGANLoss
from keras_nnx.losses.least_squares import LeastSquaresGANLoss
from keras_nnx.losses.minimax import MinimaxGANLoss
from keras_nnx.losses.non_saturating import NonSaturatingGANLoss
from keras_nnx.losses.quantile import QuantileLoss
from keras_nnx.losses.relativistic import RelativisticGANLoss
from keras_nnx.losses.wasserstein import WassersteinGANLoss

__all__ = [
    "DistillationLoss",
    "GANLoss",
    "HingeGANLoss",
    "LeastSquaresGANLoss",
    "MinimaxGANLoss",
    "NonSaturatingGANLoss",
    "QuantileLoss",
    "RelativisticGANLoss",
    "WassersteinGANLoss",
]
