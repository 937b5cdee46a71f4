"""Training that goes on where it was killed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from keras_nnx import _checks, _runs
from keras_nnx.callbacks._stateful import StatefulCallback
from keras_nnx.training import _checkpoint, _progress
from keras_nnx.training.shuffled_batches import ShuffledBatches

_OWNER = "Resume"
_FILE = "training.npz"


class Resume(StatefulCallback):
    """Saves the whole training at the end of epochs, and goes on from there when the same program is run again.

    Saved are weights, every optimizer (a `GAN` has two) and what callbacks did to its schedule, the seeds of the
    layers, the states of this package's other callbacks, and the history. Keras's `BackupAndRestore` saves neither
    seeds nor callbacks. Where the order of the data depends on nothing that is lost, as with `ShuffledBatches`, the
    losses go on as if nothing had happened. Put it last among the callbacks: it saves what those in front of it did. A
    file is replaced only by a whole one, and deleted when training ends by itself.

    Args:
        folder: Where to save: one folder for each training.
        every: Save at the end of each how many-th epoch, at least 1.

    Raises:
        ValueError: If `every` is under 1; or in `fit`, if it is not the last callback, an epoch is not one pass over
            `ShuffledBatches`, or the folder has the training of another model.

    Example:
        >>> import tempfile
        >>> import keras
        >>> import numpy as np
        >>> import keras_nnx as nnx
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        >>> model.compile("adam", "mse")
        >>> batches = nnx.training.ShuffledBatches(np.ones((8, 2)), np.ones((8, 1)), batch_size=4)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     resume = nnx.training.Resume(folder)
        ...     history = model.fit(batches, epochs=3, shuffle=False, verbose=0, callbacks=[resume])
        >>> history.epoch
        [0, 1, 2]
    """

    _state: ClassVar[tuple[str, ...]] = ()

    def __init__(self, folder: str | os.PathLike[str], every: int = 1) -> None:
        super().__init__()
        self.folder = Path(folder)
        self.every = _checks.positive_integer(_OWNER, "every", every)
        self.resumed_from: int | None = None

    @property
    def path(self) -> Path:
        """The file in the folder."""
        return self.folder / _FILE

    def set_model(self, model: Any) -> None:
        """Restore the model, before any callback begins."""
        super().set_model(model)
        run = _runs.current(model)
        if self._training:  # an evaluation in between
            return
        self._past: dict[str, Any] | None = None
        self.resumed_from = None
        if run is not None and self.path.exists():
            self._past = _checkpoint.read(self.path)
            self._restore(model, self._past)
            run.add(self)
            run.resume(self._past["callbacks"])
            self.resumed_from = model._initial_epoch = self._past["epoch"]

    def _begin(self) -> None:
        run = _runs.current(self._model)
        given = [] if run is None else run.arguments.get("callbacks") or []
        entries = list(given) if isinstance(given, list | tuple) else [self]
        if entries and entries[-1] is not self:
            raise ValueError(f"{_OWNER} has to be the last callback, so that it saves what the others did: move it.")
        self._batches = None if run is None else run.arguments.get("x")
        if isinstance(self._batches, ShuffledBatches):
            if run is not None and run.arguments.get("shuffle", True):
                raise ValueError(
                    f"{_OWNER}: Keras would shuffle the batches of ShuffledBatches again: pass shuffle=False to fit."
                )
            if run is not None and run.arguments.get("steps_per_epoch") is not None:
                raise ValueError(
                    f"{_OWNER}: with steps_per_epoch the order of ShuffledBatches would depend on where the training "
                    "was killed: leave it out, so that an epoch is one pass."
                )
            first = 0 if run is None else run.arguments.get("initial_epoch", 0)
            self._batches.start_at(self.resumed_from or first)
        if self._past is not None:
            _progress.set_rates(self._model, self._past["rates"])

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Give the history back what is past."""
        self._give_back()

    def _give_back(self) -> None:
        history = getattr(self._model, "history", None)
        if self._past is not None and history is not None:
            history.epoch = list(self._past["epochs"])
            history.history = {name: list(values) for name, values in self._past["history"].items()}
        self._past = None

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Save."""
        if (epoch + 1) % self.every == 0 and not self._model.stop_training:
            _checkpoint.write(self.path, self._record(epoch, logs or {}))

    def on_train_end(self, logs: Any = None) -> None:
        """Delete the file: this training is done."""
        self._give_back()  # there may have been no epoch left
        self.path.unlink(missing_ok=True)
        super().on_train_end(logs)

    def on_train_exit(self, error: BaseException | None) -> None:
        """Finish, also if another callback could not begin."""
        super().on_train_exit(error)
        self._model._initial_epoch = None  # Keras would start each later training there

    def _record(self, epoch: int, logs: dict[str, Any]) -> dict[str, Any]:
        history = self._model.history
        past = {name: [_number(value) for value in values] for name, values in history.history.items()}
        done = list(history.epoch)
        if epoch not in done:  # Keras's own callback comes after this one
            done.append(epoch)
            for name, value in logs.items():
                past.setdefault(name, []).append(_number(value))
        run = _runs.current(self._model)
        return {
            "epoch": epoch + 1,
            "shapes": self._model.get_build_config(),
            "variables": _progress.values(self._model),
            "rates": _progress.rates(self._model),
            "callbacks": [] if run is None else run.states(without=self),
            "epochs": done,
            "history": past,
        }

    def _restore(self, model: Any, record: dict[str, Any]) -> None:
        if not model.built and record["shapes"]:
            model.build_from_config(_with_tuples(record["shapes"]))
        variables = _progress.variables(model)
        if record["variables"] and not model.variables:
            raise ValueError(
                f"{_OWNER} cannot restore {model.name!r}, which is not built: build it before fit, by its inputs or by "
                "calling it on a batch."
            )
        if wrong := next(_checkpoint.mismatches(record["variables"], variables), None):
            raise ValueError(
                f"{_OWNER}: {self.path} is of another training: {wrong}. Choose another folder, or delete the file."
            )
        for variable, entry in zip(variables, record["variables"], strict=True):
            variable.assign(entry["value"])


def _with_tuples(value: Any) -> Any:
    """Return shapes as Keras knows them: JSON has lists."""
    if isinstance(value, dict):
        return {name: _with_tuples(entry) for name, entry in value.items()}
    if isinstance(value, list) and all(size is None or isinstance(size, int) for size in value):
        return tuple(value)
    return [_with_tuples(entry) for entry in value] if isinstance(value, list) else value


def _number(value: Any) -> Any:
    """Return a value of the logs: a number, or an array where a metric has several."""
    array = np.asarray(value)
    return array if array.ndim else array.item()
