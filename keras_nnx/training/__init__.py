"""Training that `fit` alone cannot express."""

from keras_nnx.training.critics import CriticRegularizer
from keras_nnx.training.gan import GAN
from keras_nnx.training.gan_findings import GANFinding, GANFindingKind, GANWarning
from keras_nnx.training.gan_monitor import GANMonitor
from keras_nnx.training.generation_metrics import GenerationMetrics
from keras_nnx.training.gradient_penalty import GradientPenalty
from keras_nnx.training.r1 import R1, R2
from keras_nnx.training.resume import Resume
from keras_nnx.training.sample_grid import SampleGrid
from keras_nnx.training.shuffled_batches import ShuffledBatches

__all__ = [
    "GAN",
    "R1",
    "R2",
    "CriticRegularizer",
    "GANFinding",
    "GANFindingKind",
    "GANMonitor",
    "GANWarning",
    "GenerationMetrics",
    "GradientPenalty",
    "Resume",
    "SampleGrid",
    "ShuffledBatches",
]
