"""What looks on while a trial is trained."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from keras_nnx.tuning.searches.quiet import Quiet


class Watch(keras.callbacks.Callback):
    """Tells how far a trial is, makes way for measurements, and ends what is not worth its time.

    Args:
        epochs: How many there are.
        name: Of the value that decides.
        quiet: Of the machine.
        tell: Is told the progress.
        ask: Is given an epoch and the value, and says whether to go on.
    """

    def __init__(
        self, epochs: int, name: str, quiet: Quiet, tell: Callable[[str], None], ask: Callable[[int, float], bool]
    ) -> None:
        super().__init__()
        self.epochs, self.name, self.quiet, self.tell, self.ask = epochs, name, quiet, tell, ask
        self.pruned = False

    def on_train_begin(self, logs: Any = None) -> None:
        """Say that it begins."""
        self.tell(f"training, epoch 1 of {self.epochs}")

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Make way."""
        self.quiet.let_measure()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Say how far it is, and ask."""
        value = (logs or {}).get(self.name)
        shown = "" if value is None else f", {self.name} {value:.4g}"
        self.tell(f"training, epoch {min(epoch + 2, self.epochs)} of {self.epochs}{shown}")
        goes_on = value is None or self.ask(epoch + 1, float(value))  # which is also told of the last
        if not goes_on and epoch + 1 < self.epochs:
            self.pruned = True
            self.model.stop_training = True
