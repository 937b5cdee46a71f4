"""Adversarial training that goes wrong, noticed while it does."""

from __future__ import annotations

import itertools
import math
import warnings
from typing import Any, ClassVar

import numpy as np

from keras_nnx import _checks
from keras_nnx.callbacks._stateful import StatefulCallback
from keras_nnx.training import _gan_data
from keras_nnx.training.gan_findings import REMEDIES, GANFinding, GANFindingKind, GANWarning

_OWNER = "GANMonitor"
_GAP = 20.0
_ACCURACY = 0.99


class GANMonitor(StatefulCallback):
    """Warns of collapse and divergence at the end of epochs, with the remedy.

    - *not finite*: a loss is; training stops, since nothing mends it.
    - *diverging*: the scores of real and generated images are over 20 apart, and further for `patience` epochs.
    - *overpowered*: a real image scores over a generated one in over 99% of the pairs for `patience` epochs.
    - *collapsed*: the variety of what is generated is under `collapse` for `patience` epochs, the first ones aside.

    Variety goes into the logs as `variety`, where `EarlyStopping` and TensorBoard find it. It is the share of real
    images that are the nearest to some generated one, over the same share for other real images in their place: 1 for a
    generator as varied as the data, next to 0 for one that makes few images. Generated images have the labels of the
    real ones.

    Args:
        images: Real images to compare with, at least 20; half of them are looked for, the other half stand in for
            generated ones.
        labels: Their labels, if the GAN is conditional.
        collapse: A variety under this is a collapse, in (0, 1].
        patience: For how many epochs in a row something has to be seen, at least 1.
        warmup: How many epochs the generator has to become varied, at least 0.
        seed: Seed of the latents.

    Attributes:
        findings: What went wrong, each kind once.

    Raises:
        ValueError: If an argument is out of its range.

    Example:
        >>> import numpy as np
        >>> import keras_nnx as nnx
        >>> monitor = nnx.training.GANMonitor(np.zeros((40, 8, 8, 1)))
        >>> monitor.findings
        []

    Source:
        The share of real images with a generated one near is what Naeem et al., "Reliable Fidelity and Diversity
        Metrics for Generative Models" (2020), call coverage; here it is relative to that of real images.
    """

    _state: ClassVar[tuple[str, ...]] = ("_found", "_gaps", "_accuracies", "_varieties")
    _shared: ClassVar[tuple[str, ...]] = ("_images", "_labels")

    def __init__(
        self,
        images: Any,
        labels: Any = None,
        collapse: float = 0.25,
        patience: int = 3,
        warmup: int = 5,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if len(images) < 20:
            raise ValueError(f"{_OWNER} needs at least 20 images to compare with, but received {len(images)}.")
        if labels is not None and len(labels) != len(images):
            raise ValueError(f"{_OWNER} received {len(images)} images and {len(labels)} labels: give one for each.")
        self._images = np.asarray(images, "float32")
        self._labels = None if labels is None else np.asarray(labels).reshape(-1)
        self.collapse = _checks.share(_OWNER, "collapse", collapse)
        self.patience = _checks.positive_integer(_OWNER, "patience", patience)
        self.warmup = _checks.at_least_zero(_OWNER, "warmup", warmup)
        self.seed = seed
        self._reset()

    def _reset(self) -> None:
        self._found: list[dict[str, Any]] = []
        self._gaps: list[float] = []
        self._accuracies: list[float] = []
        self._varieties: list[float] = []

    def _begin(self) -> None:
        _gan_data.belong(_OWNER, self._labels, self._model)
        self._model.expected.check_arrays(_OWNER, self._images, self._labels)
        half = len(self._images) // 2
        order = np.random.default_rng(self.seed).permutation(len(self._images))
        self._looked_for = self._images[order[:half]].reshape(half, -1)
        stand_in = order[half : 2 * half]
        self._asked = None if self._labels is None else self._labels[stand_in]
        self._usual = _covered(self._looked_for, self._images[stand_in].reshape(half, -1))

    @property
    def findings(self) -> list[GANFinding]:
        """What went wrong, each kind once."""
        return [GANFinding(**{**entry, "kind": GANFindingKind(entry["kind"])}) for entry in self._found]

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Look."""
        logs = {} if logs is None else logs
        if "real_score" not in logs:  # an epoch without a batch
            return
        losses = [logs[name] for name in ("discriminator_loss", "generator_loss") if name in logs]
        if not all(math.isfinite(value) for value in losses):
            self._say(GANFindingKind.NOT_FINITE, epoch, math.nan)
            self._model.stop_training = True
            return
        self._gaps.append(float(logs["real_score"] - logs["generated_score"]))
        self._accuracies.append(float(logs["discriminator_accuracy"]))
        self._varieties.append(self._variety(epoch))
        logs["variety"] = self._varieties[-1]
        self._judge(epoch)

    def _variety(self, epoch: int) -> float:
        count = len(self._looked_for)
        images = self._model.generate(count, seed=self.seed + epoch, labels=self._asked)
        return _covered(self._looked_for, images.reshape(count, -1)) / self._usual

    def _judge(self, epoch: int) -> None:
        gaps = self._gaps[-self.patience - 1 :]
        rising = all(after > before for before, after in itertools.pairwise(gaps))
        if len(gaps) > self.patience and rising and gaps[-1] > _GAP:
            self._say(GANFindingKind.DIVERGING, epoch, gaps[-1])
        accuracies = self._accuracies[-self.patience :]
        if len(accuracies) == self.patience and min(accuracies) > _ACCURACY:
            self._say(GANFindingKind.OVERPOWERED, epoch, accuracies[-1])
        varieties = self._varieties[self.warmup :][-self.patience :]
        if len(varieties) == self.patience and max(varieties) < self.collapse:
            self._say(GANFindingKind.COLLAPSED, epoch, varieties[-1])

    def _say(self, kind: GANFindingKind, epoch: int, value: float) -> None:
        if any(entry["kind"] == str(kind) for entry in self._found):
            return
        finding = GANFinding(kind, epoch + 1, value, REMEDIES[kind])
        self._found.append(finding.to_dict())
        warnings.warn(str(finding), GANWarning, stacklevel=2)


def _covered(looked_for: np.ndarray, others: np.ndarray) -> float:
    """Return the share of `looked_for`, `(n, d)`, that is the nearest to one of `others` or more."""
    others = np.nan_to_num(others.astype("float64"))
    squares = np.square(looked_for.astype("float64")).sum(1)[None, :] - 2 * others @ looked_for.T.astype("float64")
    return len(np.unique(squares.argmin(1))) / len(looked_for)
