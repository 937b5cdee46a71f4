"""Metrics of sets of generated images, beside a set of real ones: one per file."""

from keras_nnx.metrics.feature_extractor import feature_extractor
from keras_nnx.metrics.frechet_distance import FrechetDistance
from keras_nnx.metrics.kernel_distance import KernelDistance
from keras_nnx.metrics.precision_recall import Overlap, PrecisionRecall

__all__ = ["FrechetDistance", "KernelDistance", "Overlap", "PrecisionRecall", "feature_extractor"]
