"""Class labels, one for each example."""

from __future__ import annotations

from typing import Any

from keras import ops


def check_labels(owner: str, shape: tuple) -> None:
    """Raise unless there is one label for each example."""
    if len(shape) not in (1, 2) or (len(shape) == 2 and shape[1] != 1):
        raise ValueError(f"{owner} expects labels of shape (b) or (b 1), but received {tuple(shape)}.")


def check_labels_given(owner: str, num_classes: int | None, shape: tuple | None) -> None:
    """Raise unless there are labels where there are classes, and none where there are none."""
    if (shape is None) != (num_classes is None):
        received = "no labels" if shape is None else f"labels of shape {tuple(shape)}"
        raise ValueError(
            f"{owner}(num_classes={num_classes}) received {received}: give both the number of classes and labels, or "
            f"neither."
        )
    if shape is not None:
        check_labels(owner, shape)


def flat(labels: Any) -> Any:  # b or b 1 -> b
    """Return labels as integers along one axis."""
    labels = ops.cast(labels, "int32")
    return labels if len(labels.shape) == 1 else labels[:, 0]
