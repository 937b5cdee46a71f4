"""The loss of a student that learns from a teacher."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_nnx import _checks

_OWNER = "DistillationLoss"


@keras.saving.register_keras_serializable(package="keras_nnx")
class DistillationLoss(keras.losses.Loss):
    """Measures how far a student's class scores are from a teacher's.

    Use it with the teacher's scores in place of labels. It is computed in float32 at least. `keras.losses.KLDivergence`
    takes probabilities only, and has no temperature.

    Args:
        kind: `"hard"` is the cross-entropy with the class that the teacher thinks best; `"soft"` is the
            Kullback-Leibler divergence of the student's probabilities from the teacher's.
        temperature: What the scores are divided by before they become probabilities, for `"soft"`; over 0. The
            divergence is multiplied by its square, so that gradients stay as large.
        from_logits: Whether scores are logits; else they are probabilities. It holds for both models.
        reduction: How the losses of a batch become one, as in `keras.losses.Loss`.
        name: The name of the loss.

    Call arguments:
        y_true: The teacher's scores, `(b, classes)`.
        y_pred: The student's, of the same shape.
        sample_weight: A weight for each example, `(b,)`. Default: 1.

    Raises:
        ValueError: If an argument is unknown or out of range, a temperature is given for `"hard"`, which has none, or
            the two scores differ in shape.

    Example:
        >>> import numpy as np
        >>> import keras_nnx as nnx
        >>> loss = nnx.losses.DistillationLoss("soft", temperature=3.0)
        >>> scores = np.array([[1.0, 2.0, 0.5]])
        >>> float(loss(scores, scores))
        0.0

    Source:
        Hinton et al., "Distilling the Knowledge in a Neural Network" (2015), section 2; Touvron et al., "Training
        data-efficient image transformers & distillation through attention" (2021), section 4.
    """

    def __init__(
        self,
        kind: str = "hard",
        temperature: float = 1.0,
        from_logits: bool = True,
        reduction: str | None = "sum_over_batch_size",
        name: str = "distillation",
    ) -> None:
        super().__init__(name=name, reduction=reduction)
        self.kind = _checks.one_of(_OWNER, "kind", kind, ("hard", "soft"))
        self.temperature = _checks.positive_number(_OWNER, "temperature", temperature)
        self.from_logits = from_logits
        if kind == "hard" and temperature != 1:
            raise ValueError(
                f"DistillationLoss(kind='hard', temperature={temperature}) would be the same at any temperature: leave "
                f"it out, or use kind='soft'."
            )

    def call(self, y_true: Any, y_pred: Any) -> Any:  # b classes, b classes -> b
        """Return the loss of each example."""
        _check_shapes(y_true.shape, y_pred.shape)
        teacher, student = (self._logits(scores) / self.temperature for scores in (y_true, y_pred))
        predicted = ops.log_softmax(student)
        if self.kind == "hard":
            best = ops.one_hot(ops.argmax(teacher, axis=-1), teacher.shape[-1], dtype=predicted.dtype)
            return -ops.sum(best * predicted, axis=-1)
        wanted = ops.log_softmax(teacher)
        return self.temperature**2 * ops.sum(ops.exp(wanted) * (wanted - predicted), axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Return what was passed."""
        names = ("kind", "temperature", "from_logits")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}

    def _logits(self, scores: Any) -> Any:
        if keras.backend.standardize_dtype(scores.dtype) != "float64":
            scores = ops.cast(scores, "float32")
        return scores if self.from_logits else ops.log(ops.maximum(scores, keras.config.epsilon()))


def _check_shapes(teacher: tuple, student: tuple) -> None:
    fits = len(teacher) == len(student) == 2
    if not fits or any(None not in pair and pair[0] != pair[1] for pair in zip(teacher, student, strict=True)):
        raise ValueError(
            f"DistillationLoss expects scores of shape (b classes), the same for teacher and student, but received "
            f"{tuple(teacher)} and {tuple(student)}."
        )
