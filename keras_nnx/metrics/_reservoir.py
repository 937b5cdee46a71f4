"""A fair sample of rows that come in batches."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np


class Reservoir:
    """Keeps a uniform sample of at most `limit` of all rows that it saw.

    Which rows it keeps depends on the seed and the order of the rows, and not on the batches in which they come. The
    random numbers are found again from how many rows there were, so that the state has no generator.

    Vitter, "Random Sampling with a Reservoir" (1985), algorithm R.
    """

    parts: ClassVar[tuple[str, ...]] = ("count", "samples")

    def __init__(self, limit: int, seed: list[int]) -> None:
        self.limit, self._seed = limit, seed
        self.clear()

    def clear(self) -> None:
        """Forget all rows."""
        self.count = 0
        self._rows = np.zeros((0, 0), "float32")

    @property
    def size(self) -> int:
        """How many features a row has."""
        return self._rows.shape[1]

    @property
    def samples(self) -> np.ndarray:
        """The rows that were kept."""
        return self._rows[: self.count]

    def add(self, rows: np.ndarray) -> None:  # b f
        """Take at least one row in."""
        before = np.arange(self.count, self.count + len(rows))
        random = np.random.Generator(np.random.PCG64(self._seed).advance(self.count))
        places = np.where(before < self.limit, before, (random.random(len(rows)) * (before + 1)).astype("int64"))
        kept = places < self.limit
        self._make_room(min(self.count + len(rows), self.limit), rows)
        self._rows[places[kept]] = rows[kept]  # of two for one place, NumPy keeps the later
        self.count += len(rows)

    def _make_room(self, needed: int, rows: np.ndarray) -> None:
        dtype = np.result_type(self._rows, rows)
        room = len(self._rows)
        if needed > room or dtype != self._rows.dtype:
            larger = np.zeros((max(room, min(max(needed, 2 * room), self.limit)), rows.shape[1]), dtype)
            if self.count:
                larger[: len(self.samples)] = self.samples
            self._rows = larger

    def load(self, count: Any, samples: Any) -> None:
        """Become what the parts of another were."""
        self.count, self._rows = int(count), np.array(samples)
        if self._rows.ndim != 2 or len(self._rows) != min(self.count, self.limit):
            raise ValueError(
                f"of {self.count} images it has samples of shape {self._rows.shape}, and not "
                f"{min(self.count, self.limit)} rows, as max_samples={self.limit} keeps"
            )
