"""Ways out of `fit`: Keras tells its callbacks of the regular one only.

`on_train_end` is not called when training is interrupted, or when something in it fails: a step, the data, another
callback. No callback can notice that from inside, so `keras.Model.fit` is wrapped, once, when this package is imported:
a callback that is made among the arguments of `fit` comes too late for it. The wrapper does nothing but keep a list, to
which the callbacks of a running `fit` add themselves.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import threading
from typing import Any

import keras

_LOCAL = threading.local()
_MARK = "_keras_nnx_tells_callbacks"


class Run:
    """One call of `fit`: what it was called with, and who wants to know when it is over."""

    def __init__(self, model: Any, arguments: dict[str, Any]) -> None:
        self.model, self.arguments = model, arguments
        self._callbacks: list[Any] = []
        self._resumed: list[dict[str, Any]] = []

    def add(self, callback: Any) -> None:
        """Let a callback know when the run is over; give it its state, if the run goes on from an earlier one."""
        self._callbacks.append(callback)
        name = type(callback).__name__
        for entry in self._resumed:
            if entry["callback"] == name:
                self._resumed.remove(entry)
                callback.set_state(entry["state"])
                return

    def resume(self, states: list[dict[str, Any]]) -> None:
        """Let callbacks that begin go on from these states, the first of a class from its first."""
        self._resumed = list(states)

    def states(self, without: Any) -> list[dict[str, Any]]:
        """Return the states of the callbacks of this run, but for one of them."""
        return [
            {"callback": type(callback).__name__, "state": callback.get_state()}
            for callback in self._callbacks
            if callback is not without
        ]

    @property
    def validates(self) -> bool:
        """Whether some epoch ends with a validation."""
        return bool(self.arguments.get("validation_split")) or self.arguments.get("validation_data") is not None

    def leave(self, error: BaseException | None) -> None:
        """Tell the callbacks how it ended, all of them even if one fails; what sets the weights last comes last."""
        with contextlib.ExitStack() as stack:
            for callback in sorted(self._callbacks, key=lambda entry: -entry.leaves):
                stack.callback(callback.on_train_exit, error)


def wrap_fit() -> None:
    """Let `keras.Model.fit` tell callbacks about every way out; once is enough."""
    fit = keras.Model.fit
    if hasattr(fit, _MARK):
        return

    @functools.wraps(fit)
    def fit_and_tell(self: Any, *args: Any, **kwargs: Any) -> Any:
        runs = _runs()
        run = Run(self, _arguments(fit, self, args, kwargs))
        runs.append(run)
        try:
            history = fit(self, *args, **kwargs)
        except BaseException as error:
            runs.remove(run)
            run.leave(error)
            raise
        runs.remove(run)
        run.leave(None)
        return history

    setattr(fit_and_tell, _MARK, True)
    keras.Model.fit = fit_and_tell


def current(model: Any) -> Run | None:
    """Return the innermost running `fit` of a model; None if a loop of its own trains it."""
    return next((run for run in reversed(_runs()) if run.model is model), None)


def _runs() -> list[Run]:
    if not hasattr(_LOCAL, "runs"):
        _LOCAL.runs = []
    return _LOCAL.runs


def _arguments(fit: Any, model: Any, args: tuple, kwargs: dict[str, Any]) -> dict[str, Any]:
    try:
        return dict(inspect.signature(fit).bind(model, *args, **kwargs).arguments)
    except TypeError:  # fit says so itself, and better
        return {}
