"""Chooses which part of a data set is trained on, validated on and tested on."""

from collections.abc import Mapping

from keras_nnx.data.errors import UnsupportedDatasetError
from keras_nnx.data.info import PerSplit


def choose_splits(name: str, counts: Mapping[str, int], validation_fraction: float) -> PerSplit[str]:
    """Names the TensorFlow Datasets slice for each split; what a data set lacks is carved from its end of `train`.

    With no `validation` it is carved from `train`. With no `test`, `validation` becomes the test split and a new
    validation split is carved. With neither, both are carved, each of the same size.

    Args:
        name: The data set, for the messages.
        counts: How many labelled examples each stored split has.
        validation_fraction: The share of `train` that each carved split gets.

    Returns:
        The slices, such as `train[:54000]`.

    Raises:
        UnsupportedDatasetError: If there is no `train`.
        ValueError: If a split would be left without an example.

    Example:
        >>> choose_splits("mnist", {"train": 60000, "test": 10000}, validation_fraction=0.1)
        PerSplit(train='train[:54000]', validation='train[54000:60000]', test='test')
    """
    if "train" not in counts:
        raise UnsupportedDatasetError(
            f"The data set '{name}' has no labelled 'train' split, only {sorted(counts)}: choose one that has, or use "
            "tfds.load."
        )
    if "validation" in counts and "test" in counts:
        return PerSplit("train", "validation", "test")
    test = next((split for split in ("test", "validation") if split in counts), None)
    total = counts["train"]
    size = round(total * validation_fraction)
    kept = total - size * (1 if test else 2)
    if size < 1 or kept < 1:
        raise ValueError(
            f"load(validation_fraction={validation_fraction}) takes {total - kept} of the {total} training examples "
            f"of '{name}' and leaves {kept}: use a fraction that leaves at least one example in every split."
        )
    return PerSplit(
        train=f"train[:{kept}]",
        validation=f"train[{kept}:{kept + size}]",
        test=test or f"train[{kept + size}:{total}]",
    )
