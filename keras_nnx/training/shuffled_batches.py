"""Batches whose order depends on nothing but a seed and the epoch."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from keras_nnx import _checks

_OWNER = "ShuffledBatches"


class ShuffledBatches(keras.utils.PyDataset):
    """Arrays in batches, in another order each epoch, and in the same one each time that epoch is trained.

    Keras draws the order of arrays from random numbers that it does not save, so that a training that is resumed sees
    other batches than one that was not interrupted. Give it to `fit` with `shuffle=False`, since Keras would shuffle
    the batches again, and `Resume` with it.

    Args:
        inputs: An array, or a list of arrays, with examples along the first axis.
        targets: The same, for what is to be learned. Default: none.
        batch_size: Examples in each batch; what does not fill the last one is left out until another epoch.
        seed: Seed of the orders.

    Raises:
        ValueError: If the arrays are not of one length, or have less than a batch.

    Example:
        >>> import numpy as np
        >>> import keras_nnx as nnx
        >>> batches = nnx.training.ShuffledBatches(np.arange(5), batch_size=2, seed=1)
        >>> len(batches), batches[0].shape
        (2, (2,))
    """

    def __init__(self, inputs: Any, targets: Any = None, batch_size: int = 32, seed: int = 0) -> None:
        super().__init__()
        self.batch_size = _checks.positive_integer(_OWNER, "batch_size", batch_size)
        self.seed = _checks.at_least_zero(_OWNER, "seed", seed)
        self._data = inputs if targets is None else (inputs, targets)
        lengths = {len(entry) for entry in keras.tree.flatten(self._data)}
        if len(lengths) != 1:
            raise ValueError(f"{_OWNER} needs arrays of one length, but received lengths {sorted(lengths)}.")
        self._size = lengths.pop()
        if self._size < batch_size:
            raise ValueError(
                f"{_OWNER}(batch_size={batch_size}) has only {self._size} examples: take a batch size of at most that."
            )
        self._next = 0
        self._order = self._shuffled(0)

    def start_at(self, epoch: int) -> None:
        """Let the next epoch be this one, counted from 0."""
        self._next = epoch
        self._order = self._shuffled(epoch)

    def on_epoch_begin(self) -> None:
        """Shuffle."""
        self._order = self._shuffled(self._next)
        self._next += 1

    def __len__(self) -> int:
        return self._size // self.batch_size

    def __getitem__(self, index: int) -> Any:
        chosen = self._order[index * self.batch_size : (index + 1) * self.batch_size]
        return keras.tree.map_structure(lambda entry: entry[chosen], self._data)

    def _shuffled(self, epoch: int) -> np.ndarray:
        return np.random.default_rng((self.seed, epoch)).permutation(self._size)
