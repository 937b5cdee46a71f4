"""What is wrong with the images and labels of a GAN, said before they are trained on."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import types
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_nnx.training._gan_checks import fits

_OWNER = "GAN"
_LOOKED_AT = 1024
_SAID = re.compile(r"<<(.*?)>>", re.DOTALL)


@dataclasses.dataclass(frozen=True)
class Expected:
    """What a GAN learns from.

    Args:
        shape: The shape of one image.
        classes: The number of labels; None for images without.
        bounded: Whether the generator makes values from -1 to 1.
    """

    shape: tuple[int | None, ...]
    classes: int | None
    bounded: bool

    def checked(self, x: Any, y: Any = None) -> Any:
        """Return what `fit` is to read in place of `x`, or raise for what a GAN cannot learn from.

        Arrays and the first of other batches are looked at here and now; each batch of a `tf.data.Dataset` when it is
        read, which may be expensive to do twice.
        """
        if isinstance(x, tf.data.Dataset):
            spec = x.element_spec
            entries = spec if isinstance(spec, tuple) else (spec,)
            if not all(isinstance(entry, tf.TensorSpec) and entry.shape.rank is not None for entry in entries):
                raise ValueError(
                    f"{_OWNER} needs batches of images, or of (images, labels), whose number of axes is known, but the "
                    f"data set has {spec}."
                )
            self.check_batch(entries[0], entries[1] if len(entries) > 1 else None)
            return x.map(self._watched)
        if isinstance(x, keras.utils.PyDataset):
            self._check_first(x[0])
        elif isinstance(x, types.GeneratorType):
            first = next(x, None)
            if first is not None:
                self._check_first(first)
                return _put_back(first, x)
        elif hasattr(x, "shape") and hasattr(x, "dtype"):
            self.check_arrays(_OWNER, x, y)
        return x

    def checked_validation(self, data: Any) -> Any:
        """Return what `fit` is to validate with."""
        if isinstance(data, tuple | list):
            self.check_arrays(_OWNER, *data[:2])
            return data
        return self.checked(data)

    def check_arrays(self, owner: str, images: Any, labels: Any = None) -> None:
        """Raise for images or labels that do not fit.

        Args:
            owner: Who received them.
            images: `(n, h, w, c)`.
            labels: `(n,)`.
        """
        self.check_batch(images, labels, owner)
        some = np.asarray(images[:_LOOKED_AT])
        if self.bounded and some.size and not (some.min() >= -1.01 and some.max() <= 1.01):
            raise ValueError(_out_of_range(owner, f"{some.min():g}", f"{some.max():g}"))
        if self.classes is not None:
            known = np.asarray(labels)
            if len(known) != len(images):
                raise ValueError(f"{owner} received {len(images)} images and {len(known)} labels: give one for each.")
            if known.size and not (known.min() >= 0 and known.max() < self.classes and (known == known // 1).all()):
                raise ValueError(_no_labels(owner, self.classes, f"{known.min():g}", f"{known.max():g}"))

    def check_batch(self, images: Any, labels: Any, owner: str = _OWNER) -> None:
        """Raise for shapes that do not fit the networks, or labels that are missing."""
        self._check_presence(labels is not None, owner)
        if not fits(tuple(images.shape)[1:], self.shape):
            raise ValueError(
                f"{owner} received images of shape {tuple(images.shape)[1:]}, but its generator makes {self.shape}: "
                "resize the images, or build networks for them."
            )
        if labels is not None and not (len(labels.shape) == 1 or (len(labels.shape) == 2 and labels.shape[1] == 1)):
            raise ValueError(
                f"{owner} needs one integer label for each image, but received labels of shape {tuple(labels.shape)}: "
                "turn one-hot labels into integers by argmax."
            )

    def _check_first(self, batch: Any) -> None:
        images, labels, _ = keras.utils.unpack_x_y_sample_weight(batch)
        self.check_arrays(_OWNER, images, labels)

    def _check_presence(self, has_labels: bool, owner: str) -> None:
        if self.classes is not None and not has_labels:
            raise ValueError(
                f"{owner} is conditional, and received images without labels: pass both, fit(images, labels), or a "
                "data set of pairs."
            )
        if has_labels and self.classes is None:
            raise ValueError(
                f"{owner} is not conditional, and received labels: pass the images alone, or give num_classes= and "
                "networks that take labels."
            )

    def _watched(self, *batch: Any) -> Any:
        """Pass a batch of a data set on, if it fits."""
        images, labels = batch[0], batch[1] if len(batch) > 1 else None
        checks = []
        if self.bounded:
            low, high = (tf.cast(reduce(images), tf.float32) for reduce in (tf.reduce_min, tf.reduce_max))
            fit = tf.equal(tf.size(images), 0) | (tf.greater_equal(low, -1.01) & tf.less_equal(high, 1.01))
            checks.append(tf.debugging.Assert(fit, [_formatted(_out_of_range(_OWNER, "{}", "{}"), low, high)]))
        if labels is not None:
            known = tf.cast(labels, tf.float32)
            low, high = tf.reduce_min(known), tf.reduce_max(known)
            inside = tf.greater_equal(known, 0) & tf.less(known, self.classes) & tf.equal(known, tf.floor(known))
            said = _formatted(_no_labels(_OWNER, self.classes, "{}", "{}"), low, high)
            checks.append(tf.debugging.Assert(tf.reduce_all(inside), [said]))
        with tf.control_dependencies([check for check in checks if check is not None]):
            passed = tuple(tf.nest.map_structure(tf.identity, entry) for entry in batch)
        return passed if len(passed) > 1 else passed[0]


@contextlib.contextmanager
def said_in_words() -> Iterator[None]:
    """Raise what a data set found in a batch as the error it is."""
    try:
        yield
    except tf.errors.InvalidArgumentError as error:
        if found := _SAID.search(str(error)):
            raise ValueError(found[1]) from None
        raise


def _out_of_range(owner: str, low: str, high: str) -> str:
    return (
        f"{owner} received images from {low} to {high}, but its generator ends in a tanh, from -1 to 1: scale them, "
        "for instance by images / 127.5 - 1."
    )


def _no_labels(owner: str, classes: int | None, low: str, high: str) -> str:
    return (
        f"{owner}(num_classes={classes}) received labels from {low} to {high}: they have to be integers from 0 to "
        f"{(classes or 0) - 1}."
    )


def _formatted(text: str, *values: tf.Tensor) -> tf.Tensor:
    return tf.strings.format(f"<<{text}>>", values)


def _put_back(first: Any, rest: Iterator[Any]) -> Iterator[Any]:
    yield first
    yield from rest


def labels_to_generate(count: int, labels: Any, classes: int | None) -> np.ndarray | None:
    """Return a label for each of the images that are asked for, or None without classes."""
    if classes is None:
        if labels is not None:
            raise ValueError(f"{_OWNER}.generate(labels=...) needs a conditional GAN: this one has no num_classes.")
        return None
    if labels is None:
        raise ValueError(
            f"{_OWNER}.generate needs labels=, one for all images or one for each, from 0 to {classes - 1}."
        )
    values = np.asarray(labels)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim > 1 or (values.ndim == 1 and len(values) != count) or not np.issubdtype(values.dtype, np.integer):
        raise ValueError(
            f"{_OWNER}.generate(n={count}) needs one integer label, or {count}, but received labels of shape "
            f"{values.shape} and type {values.dtype}."
        )
    if values.min() < 0 or values.max() >= classes:
        raise ValueError(
            f"{_OWNER}.generate received labels from {values.min()} to {values.max()}: they go from 0 to {classes - 1}."
        )
    return np.broadcast_to(values, (count,)).astype("int32")


def belong(owner: str, labels: Any, model: Any) -> None:
    """Raise unless a callback has labels where its GAN is conditional, and none where it is not."""
    if (labels is None) != (model.num_classes is None):
        said = "needs labels= for a conditional GAN" if labels is None else "has labels, and the GAN none"
        raise ValueError(f"{owner} {said}: give both or neither.")
