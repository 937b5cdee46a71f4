"""Schedules of the learning rate and the momentum: what Keras lacks, with a warm-up in each."""

from keras_nnx.schedules._schedule import plot, values
from keras_nnx.schedules.cosine_restarts import CosineRestarts
from keras_nnx.schedules.exponential_decay import ExponentialDecay
from keras_nnx.schedules.inverse_square_root import InverseSquareRoot
from keras_nnx.schedules.joined import Joined
from keras_nnx.schedules.multi_step_decay import MultiStepDecay
from keras_nnx.schedules.one_cycle import OneCycle, OneCycleMomentum
from keras_nnx.schedules.polynomial_decay import PolynomialDecay
from keras_nnx.schedules.scaled import Scaled
from keras_nnx.schedules.step_decay import StepDecay
from keras_nnx.schedules.warmup_stable_decay import WarmupStableDecay

__all__ = [
    "CosineRestarts",
    "ExponentialDecay",
    "InverseSquareRoot",
    "Joined",
    "MultiStepDecay",
    "OneCycle",
    "OneCycleMomentum",
    "PolynomialDecay",
    "Scaled",
    "StepDecay",
    "WarmupStableDecay",
    "plot",
    "values",
]
