"""Callbacks that steer and watch a training: what Keras lacks or gets wrong."""

from keras_nnx.callbacks.early_stopping import EarlyStopping
from keras_nnx.callbacks.gradient_findings import FindingKind, GradientFinding, GradientWarning, Limits
from keras_nnx.callbacks.gradient_monitor import GradientMonitor
from keras_nnx.callbacks.gradual_unfreeze import GradualUnfreeze
from keras_nnx.callbacks.learning_rate_finder import LearningRateFinder
from keras_nnx.callbacks.reason import StopKind, StopReason
from keras_nnx.callbacks.reduce_on_plateau import ReduceOnPlateau, Reduction
from keras_nnx.callbacks.throughput_monitor import Throughput, ThroughputMonitor
from keras_nnx.callbacks.warm_restarts import WarmRestarts
from keras_nnx.callbacks.weight_averaging import WeightAveraging

__all__ = [
    "EarlyStopping",
    "FindingKind",
    "GradientFinding",
    "GradientMonitor",
    "GradientWarning",
    "GradualUnfreeze",
    "LearningRateFinder",
    "Limits",
    "ReduceOnPlateau",
    "Reduction",
    "StopKind",
    "StopReason",
    "Throughput",
    "ThroughputMonitor",
    "WarmRestarts",
    "WeightAveraging",
]
