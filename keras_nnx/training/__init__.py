"""Training that `fit` alone cannot express.

What Keras has to know when it loads a file is imported here and now, the callbacks on first use.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any

if importlib.util.find_spec("tensorflow") is None:
    raise ImportError('keras_nnx.training needs TensorFlow: run pip install "keras-nnx[tensorflow]".')

from keras_nnx.training.critics import CriticRegularizer
from keras_nnx.training.gan import GAN
from keras_nnx.training.gradient_penalty import GradientPenalty
from keras_nnx.training.r1 import R1, R2

if TYPE_CHECKING:
    from keras_nnx.training.gan_findings import GANFinding, GANFindingKind, GANWarning
    from keras_nnx.training.gan_monitor import GANMonitor
    from keras_nnx.training.generation_metrics import GenerationMetrics
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

_LAZY = {
    "GANFinding": "gan_findings",
    "GANFindingKind": "gan_findings",
    "GANMonitor": "gan_monitor",
    "GANWarning": "gan_findings",
    "GenerationMetrics": "generation_metrics",
    "Resume": "resume",
    "SampleGrid": "sample_grid",
    "ShuffledBatches": "shuffled_batches",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(f"keras_nnx.training.{_LAZY[name]}"), name)
    raise AttributeError(f"module 'keras_nnx.training' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
