"""What all callbacks share: a state, copies, and an end on every way out."""

from __future__ import annotations

import copy
from typing import Any, ClassVar, Self

import keras
import numpy as np

from keras_nnx import _runs


class StatefulCallback(keras.callbacks.Callback):
    """A callback that can be copied, saves and restores its state, and notices every way out of `fit`.

    Subclasses have `_begin`, which is called when training begins, and `_end`, which is called once when it is over,
    with the exception if there was one.
    """

    leaves: ClassVar[int] = 1
    """When it is told of the end of a run that failed: 0 first, 2 last."""
    _state: ClassVar[tuple[str, ...]] = ()
    _shared: ClassVar[tuple[str, ...]] = ()  # what a copy does not copy, such as data

    _resumed = _training = False

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Make the callback, and see that `fit` will tell it of its end."""
        _runs.wrap_fit()
        return super().__new__(cls)

    def get_state(self) -> dict[str, Any]:
        """Return what the callback knows of the training so far: numbers, text, and arrays."""
        return {name: _plain(getattr(self, name)) for name in self._state}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from a state: before `fit`, in place of starting anew; or while it runs.

        Args:
            state: What `get_state` returned.

        Raises:
            ValueError: If it is the state of something else.
        """
        if set(state) != set(self._state):
            raise ValueError(
                f"{type(self).__name__}.set_state expects the entries {sorted(self._state)}, but received "
                f"{sorted(state)}: give it what get_state of the same class returned."
            )
        for name, value in state.items():
            setattr(self, name, copy.deepcopy(value))
        self._resumed = not self._training

    def on_train_begin(self, logs: Any = None) -> None:
        """Start anew, or go on from the state that was set."""
        run = _runs.current(self._model)
        if run is not None:
            run.add(self)
        if not self._resumed:
            self._reset()
        self._resumed = False
        self._begin()
        self._training = True  # what could not begin has no end

    def on_train_end(self, logs: Any = None) -> None:
        """Finish."""
        self.on_train_exit(None)

    def on_train_exit(self, error: BaseException | None) -> None:
        """Finish, whatever the reason; Keras itself does not call this.

        Args:
            error: What ended the training; None if it ended by itself.
        """
        if self._training:
            self._training = False
            self._end(error)

    def _reset(self) -> None:
        """Forget what is known of an earlier training."""

    def _begin(self) -> None:
        """Prepare for a training."""

    def _end(self, error: BaseException | None) -> None:
        """Do what is to be done at the end of a training."""

    def __getstate__(self) -> dict[str, Any]:
        # A copy belongs to no model yet. Keras Tuner copies callbacks before each trial.
        return {**self.__dict__, "_model": None, "params": None, "_training": False}

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        new = type(self).__new__(type(self))
        memo[id(self)] = new
        for name, value in self.__getstate__().items():
            setattr(new, name, value if name in self._shared else copy.deepcopy(value, memo))
        return new


def _plain(value: Any) -> Any:
    """Return a copy in which tensors are arrays."""
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return np.array(keras.ops.convert_to_numpy(value))
