"""What a caller may know about a loaded data set: names, shapes, statistics, sizes."""

import dataclasses
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")


class PerSplit(NamedTuple, Generic[T]):
    """One value for each of the three splits.

    Args:
        train: The value of the training split.
        validation: That of the validation split.
        test: That of the test split.

    Example:
        >>> from keras_nnx.data import PerSplit
        >>> sizes = PerSplit(train=1257, validation=270, test=270)
        >>> sizes.train, sum(sizes)
        (1257, 1797)
    """

    train: T
    validation: T
    test: T


@dataclasses.dataclass(frozen=True)
class DataInfo:
    """The facts about a loaded data set that a model, an export or a report needs.

    Args:
        name: The data set's name, as given to `load`.
        labels: The class names; the position is the integer label.
        image_shape: `(height, width, channels)` of every image, after resizing.
        mean: The training split's mean of each channel, in pixel units 0..255.
        standard_deviation: The training split's standard deviation of each channel, in pixel units; 1 for a
            channel that never changes, so that dividing by it is safe.
        sizes: How many examples each split has.
        sources: The TensorFlow Datasets split that each one was read from, such as `"train[:54000]"`.

    Example:
        >>> from keras_nnx.data import DataInfo, PerSplit
        >>> info = DataInfo(
        ...     name="coins", labels=("heads", "tails"), image_shape=(32, 32, 1), mean=(128.0,),
        ...     standard_deviation=(64.0,), sizes=PerSplit(80, 10, 10), sources=PerSplit("train", "validation", "test"),
        ... )
        >>> info.num_classes, info.sizes.train
        (2, 80)
    """

    name: str
    labels: tuple[str, ...]
    image_shape: tuple[int, int, int]
    mean: tuple[float, ...]
    standard_deviation: tuple[float, ...]
    sizes: PerSplit[int]
    sources: PerSplit[str]

    @property
    def num_classes(self) -> int:
        """How many classes there are."""
        return len(self.labels)
