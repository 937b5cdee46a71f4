"""Reads from a builder whether it is image classification, and which pictures and labels it has."""

from typing import Any, NamedTuple

import numpy as np

from keras_nnx.data._extra import require
from keras_nnx.data.errors import UnsupportedDatasetError


class ImageFeatures(NamedTuple):
    """The pictures and labels of a data set.

    Args:
        image_shape: `(height, width, channels)` after resizing.
        resize: Whether the stored pictures have to be resized to it.
        labels: The class names.
    """

    image_shape: tuple[int, int, int]
    resize: bool
    labels: tuple[str, ...]


def check_features(name: str, features: Any, image_size: tuple[int, int] | None) -> None:
    """Checks what is known before a data set is downloaded: that it has 8-bit pictures and class labels.

    Args:
        name: The data set, for the messages.
        features: Its `tfds.features.FeaturesDict`.
        image_size: The `(height, width)` to resize to, or None to keep the stored size.

    Raises:
        UnsupportedDatasetError: If there is no `image` or `label`, if they are of another kind, or if the
            pictures vary in size and no `image_size` is given.

    Example:
        >>> import tensorflow_datasets as tfds
        >>> label = tfds.features.ClassLabel(names=["a", "b"])
        >>> check_features("letters", {"image": tfds.features.Image(shape=(28, 28, 1)), "label": label}, None)
    """
    kinds = require("tensorflow_datasets").features
    if not _has(features, "image", kinds.Image) or not _has(features, "label", kinds.ClassLabel):
        found = ", ".join(f"{key}: {type(feature).__name__}" for key, feature in features.items())
        raise UnsupportedDatasetError(
            f"The data set '{name}' is not image classification: it needs the features image: Image and label: "
            f"ClassLabel, and it has {found}. Use tfds.load for it, or choose another data set."
        )
    image = features["image"]
    dtype = np.dtype(image.np_dtype)
    if dtype != np.uint8 or not image.shape[-1]:
        raise UnsupportedDatasetError(
            f"The data set '{name}' has images of type {dtype.name} and shape {image.shape}: load takes uint8 images "
            "with a fixed number of channels. Use tfds.load for it, or choose another data set."
        )
    if image_size is None and None in image.shape:
        raise UnsupportedDatasetError(
            f"The images of the data set '{name}' vary in size, shape {image.shape}, and cannot be batched as they "
            f"are: pass image_size=(height, width), for example load({name!r}, image_size=(224, 224))."
        )


def image_features(name: str, features: Any, image_size: tuple[int, int] | None) -> ImageFeatures:
    """Tells the shape of the pictures and the names of the classes of a prepared data set.

    Args:
        name: The data set, for the messages.
        features: Its `tfds.features.FeaturesDict`, which `check_features` has passed.
        image_size: The `(height, width)` to resize to, or None to keep the stored size.

    Returns:
        The shape, whether to resize, and the class names.

    Raises:
        UnsupportedDatasetError: If it does not say how many classes there are.

    Example:
        >>> import tensorflow_datasets as tfds
        >>> label = tfds.features.ClassLabel(names=["a", "b"])
        >>> image_features("letters", {"image": tfds.features.Image(shape=(28, 28, 1)), "label": label}, None)
        ImageFeatures(image_shape=(28, 28, 1), resize=False, labels=('a', 'b'))
    """
    *size, channels = features["image"].shape
    label = features["label"]
    if not label.num_classes:
        raise UnsupportedDatasetError(
            f"The data set '{name}' does not say how many classes its label has. Use tfds.load for it, or choose "
            "another data set."
        )
    height, width = image_size or size
    labels = tuple(label.names or map(str, range(label.num_classes)))
    return ImageFeatures((height, width, channels), [height, width] != size, labels)


def _has(features: Any, key: str, kind: type) -> bool:
    return key in features and isinstance(features[key], kind)
