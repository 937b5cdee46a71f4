"""What a generator makes, as pictures during training."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from keras_nnx import _checks, _runs
from keras_nnx.callbacks import _tensorflow
from keras_nnx.callbacks._stateful import StatefulCallback
from keras_nnx.training import _grid

_OWNER = "SampleGrid"


class SampleGrid(StatefulCallback):
    """Saves a grid of generated images at the end of epochs, of the same latents each time.

    A conditional GAN has one row for each class. The files are `epoch_0001.png` and so on; the first, `epoch_0000.png`,
    is from before training.

    Args:
        folder: Where the pictures go.
        rows: Rows of a GAN without classes, at least 1.
        columns: Images in each row, at least 1.
        every: A picture at the end of each how many-th epoch, at least 1.
        value_range: What is black and what is white.
        log_dir: A folder for TensorBoard, which shows the grids over the steps. Default: none.
        seed: Seed of the latents.

    Raises:
        ValueError: If a number is out of its range; in `fit`, if the images have neither one nor three channels.
        ImportError: If `log_dir` is given and TensorBoard is missing.

    Example:
        >>> import keras_nnx as nnx
        >>> grids = nnx.training.SampleGrid("build/samples", columns=8, every=5)
        >>> grids.every
        5
    """

    _state: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        folder: str | os.PathLike[str],
        rows: int = 8,
        columns: int = 8,
        every: int = 1,
        value_range: tuple[float, float] = (-1.0, 1.0),
        log_dir: str | os.PathLike[str] | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.folder = Path(folder)
        self.rows = _checks.positive_integer(_OWNER, "rows", rows)
        self.columns = _checks.positive_integer(_OWNER, "columns", columns)
        self.every = _checks.positive_integer(_OWNER, "every", every)
        self.low, self.high = value_range
        if not self.low < self.high:
            raise ValueError(f"{_OWNER}(value_range={value_range!r}) needs black under white, such as (-1, 1).")
        self.log_dir = None if log_dir is None else Path(log_dir)
        self.seed = seed

    def _begin(self) -> None:
        self._write: Any = None
        if (channels := self._model.image_shape[-1]) not in (1, 3):
            raise ValueError(
                f"{_OWNER} draws images of one or three channels, but these have {channels}: leave it out."
            )
        if self.log_dir is not None:
            self._write = _tensorflow.image_writer(self.log_dir)
        run = _runs.current(self._model)
        first = self._model._initial_epoch or (run.arguments.get("initial_epoch") if run is not None else 0)
        if not first:
            self._draw(0)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Draw."""
        if (epoch + 1) % self.every == 0:
            self._draw(epoch + 1)

    def _draw(self, epoch: int) -> None:
        classes = self._model.num_classes
        count = (classes or self.rows) * self.columns
        labels = None if classes is None else np.arange(classes).repeat(self.columns)
        images = self._model.generate(count, seed=self.seed, labels=labels)
        sheet = _grid.tiled(images, self.columns, self.low, self.high)
        _grid.save_png(self.folder / f"epoch_{epoch:04d}.png", sheet)
        if self._write is not None:
            self._write("samples", sheet, epoch)

    def _end(self, error: BaseException | None) -> None:
        self._write = None
