"""A stratified, seeded split into training, validation and test examples."""

import numpy as np
import numpy.typing as npt

from keras_nnx.data.info import PerSplit

Indices = npt.NDArray[np.int64]


def stratified_split(labels: npt.ArrayLike, size: int, seed: int) -> PerSplit[Indices]:
    """Splits example indices so that every class has its share of each split, to within one example.

    The held-out part, `2 * size`, is shared out among the classes by largest remainder; each class then halves
    its part, and the classes whose part is odd give the odd example to validation and to test in turn.

    Args:
        labels: The integer label of each example.
        size: How many examples the validation split gets, and the test split.
        seed: Decides which examples go where. `RandomState` keeps its stream for ever, so the split does not
            depend on numpy's version.

    Returns:
        The sorted indices of each split.

    Raises:
        ValueError: If fewer than `2 * size + 1` examples are there.

    Example:
        >>> split = stratified_split([0, 0, 0, 0, 1, 1, 1, 1], size=2, seed=0)
        >>> [len(part) for part in split]
        [4, 2, 2]
    """
    labels = np.asarray(labels)
    if not 0 < 2 * size < len(labels):
        raise ValueError(
            f"stratified_split(size={size}) holds out {2 * size} of {len(labels)} examples, which leaves none to "
            "train on or none to hold out: use a smaller positive size."
        )
    classes, counts = np.unique(labels, return_counts=True)
    random = np.random.RandomState(seed)
    parts: PerSplit[list[Indices]] = PerSplit([], [], [])
    odd_to_test = False
    for label, held_out in zip(classes, _shares(counts, 2 * size), strict=True):
        indices = random.permutation(np.flatnonzero(labels == label))
        validation = held_out // 2
        if held_out % 2:
            validation += not odd_to_test
            odd_to_test = not odd_to_test
        parts.validation.append(indices[:validation])
        parts.test.append(indices[validation:held_out])
        parts.train.append(indices[held_out:])
    return PerSplit(*(np.sort(np.concatenate(part)) for part in parts))


def _shares(counts: Indices, total: int) -> list[int]:
    """Shares `total` among the classes in proportion to their counts, by largest remainder."""
    ideal = counts * (total / counts.sum())
    shares = np.floor(ideal).astype(int)
    remainders = np.argsort(shares - ideal, kind="stable")
    shares[remainders[: total - shares.sum()]] += 1
    return [int(share) for share in shares]
