"""The end of a training, and the weights that it is left with."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any, ClassVar

from keras_nnx import _checks, _runs
from keras_nnx.callbacks import _monitor
from keras_nnx.callbacks._stateful import StatefulCallback
from keras_nnx.callbacks.reason import StopKind, StopReason

_OWNER = "EarlyStopping"
# Reading the loss waits for the accelerator, so within an epoch it is looked at now and then.
_SECONDS_BETWEEN_LOOKS = 1.0


class EarlyStopping(StatefulCallback):
    """Stops a training that does not get better, or goes wrong, and leaves the model with its best weights.

    `keras.callbacks.EarlyStopping` takes one metric and an absolute improvement, goes on with NaN, warns at every
    epoch of a name that does not exist, and restores nothing when training is interrupted or fails. This one restores
    the best weights on every way out, Ctrl-C and exceptions in the data or in another callback included; the exception
    goes on.

    Args:
        monitor: The name of a value in the logs, or several: training stops when none of them has improved. The first
            says which epoch was best.
        patience: Epochs without an improvement after which training stops, at least 1; epochs without a validation do
            not count. None: never for that reason.
        mode: Whether `"min"` or `"max"` is better, for all names or by name; `"auto"` asks the metric.
        min_delta: What counts as an improvement: more than this much,
        min_relative: and more than this share of the best value so far.
        warmup_epochs: Epochs at the start that neither count nor are remembered as best.
        threshold: Stop as soon as the first name reaches this, or each name of a dictionary its own.
        divergence: Stop as soon as a value is worse than its best by more than this share of it.
        max_seconds: Stop behind the step in which this much time is used up.
        restore_best: Whether the model ends on its best weights.

    Raises:
        ValueError: If an argument is out of range; or, in the first epoch, a name does not exist, which lists those
            that do, or nothing says which way it is better.

    Attributes:
        reason: Why training ended, a `StopReason`; None while it runs.

    Example:
        >>> import keras
        >>> import numpy as np
        >>> import keras_nnx as nnx
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> stopping = nnx.callbacks.EarlyStopping("loss", threshold=1e9)
        >>> _ = model.fit(np.ones((4, 1)), np.ones((4, 1)), epochs=5, callbacks=[stopping], verbose=0)
        >>> stopping.reason.kind, stopping.reason.epoch, stopping.reason.restored_epoch
        (<StopKind.THRESHOLD: 'threshold'>, 0, 0)
    """

    leaves: ClassVar[int] = 2
    _state: ClassVar[tuple[str, ...]] = ("best", "best_epoch", "wait", "seconds", "_weights")

    def __init__(
        self,
        monitor: str | Sequence[str] = "val_loss",
        patience: int | None = 10,
        mode: str | dict[str, str] = "auto",
        min_delta: float = 0.0,
        min_relative: float = 0.0,
        warmup_epochs: int = 0,
        threshold: float | dict[str, float] | None = None,
        divergence: float | None = None,
        max_seconds: float | None = None,
        restore_best: bool = True,
    ) -> None:
        super().__init__()
        self.monitor = names_of(_OWNER, monitor)
        self.patience = _checks.optional_positive_integer(_OWNER, "patience", patience)
        self.mode = modes_of(_OWNER, mode, self.monitor)
        self.min_delta = _checks.at_least(_OWNER, "min_delta", min_delta, 0)
        self.min_relative = _checks.at_least(_OWNER, "min_relative", min_relative, 0)
        self.warmup_epochs = _checks.at_least_zero(_OWNER, "warmup_epochs", warmup_epochs)
        self.threshold = _thresholds(threshold, self.monitor)
        self.divergence = None if divergence is None else _checks.positive_number(_OWNER, "divergence", divergence)
        self.max_seconds = None if max_seconds is None else _checks.positive_number(_OWNER, "max_seconds", max_seconds)
        self.restore_best = restore_best
        self._epoch = 0
        self._reset()

    def _reset(self) -> None:
        self.best: dict[str, float] = {}
        self.best_epoch: int | None = None
        self.wait = 0
        self.seconds = 0.0
        self._weights: list[Any] | None = None
        self.reason: StopReason | None = None

    def _begin(self) -> None:
        self.reason = None
        self._started = self._next_look = time.monotonic() - self.seconds
        self._next_look = time.monotonic() + _SECONDS_BETWEEN_LOOKS
        self._signs: dict[str, int] = {}

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Note which epoch it is."""
        self._epoch = epoch

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Look at the clock, and now and then at the loss so far.

        Not at the end of a batch: Keras would wait for the logs of each one then.
        """
        now = time.monotonic()
        self.seconds = now - self._started
        if self.max_seconds is not None and self.seconds >= self.max_seconds:
            self._stop(StopKind.TIME_BUDGET)
        elif now >= self._next_look and batch > 0:
            loss = float(self.model.metrics[0].result())
            if not math.isfinite(loss):
                self._stop(StopKind.NON_FINITE, "loss", loss)
            self._next_look = time.monotonic() + _SECONDS_BETWEEN_LOOKS

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Compare the values of the epoch with the best so far."""
        logs = dict(logs or {})
        self.seconds = time.monotonic() - self._started
        run = _runs.current(self._model)
        may_follow = bool(self._signs) or (run is not None and run.validates)
        found = {name: _monitor.value_of(_OWNER, name, logs, may_follow) for name in self.monitor}
        values = {name: value for name, value in found.items() if value is not None}
        for name in values:
            if name not in self._signs:
                self._signs[name] = _monitor.sign_of(_OWNER, name, self.mode[name], self.model)
        for name, value in {"loss": float(logs.get("loss", 0.0)), **values}.items():
            if not math.isfinite(value):
                self._stop(StopKind.NON_FINITE, name, value)
                return
        if epoch >= self.warmup_epochs and values:
            self._judge(values)
        if self.max_seconds is not None and self.seconds >= self.max_seconds:
            self._stop(StopKind.TIME_BUDGET)

    def _judge(self, values: dict[str, float]) -> None:
        better = []
        for name, value in values.items():
            sign, best = self._signs[name], self.best.get(name)
            if _monitor.improved(value, best, sign, self.min_delta, self.min_relative):
                better.append(name)
                self.best[name] = value
            elif _monitor.diverged(value, best, sign, self.divergence):
                self._stop(StopKind.DIVERGED, name, value)
            if name in self.threshold and sign * (value - self.threshold[name]) >= 0:
                self._stop(StopKind.THRESHOLD, name, value)
        if self.monitor[0] in better:
            self.best_epoch = self._epoch
            self._weights = self.model.get_weights() if self.restore_best else None
        self.wait = 0 if better else self.wait + 1
        if self.patience is not None and self.wait >= self.patience:
            self._stop(StopKind.NO_IMPROVEMENT, self.monitor[0], values.get(self.monitor[0]))

    def _stop(self, kind: StopKind, monitor: str | None = None, value: float | None = None) -> None:
        if self.reason is None:
            self.reason = self._reason(kind, monitor if value is not None else None, value)
        self.model.stop_training = True

    def _reason(self, kind: StopKind, monitor: str | None = None, value: float | None = None) -> StopReason:
        return StopReason(kind, self._epoch, monitor, value)

    def _end(self, error: BaseException | None) -> None:
        reason = self.reason or self._reason(StopKind.STOPPED if self.model.stop_training else StopKind.COMPLETED)
        if error is not None:
            interrupted = isinstance(error, KeyboardInterrupt | SystemExit | GeneratorExit)
            reason = self._reason(StopKind.INTERRUPTED if interrupted else StopKind.FAILED)
        restored = self._weights is not None and self.restore_best
        self.reason = StopReason(
            reason.kind,
            reason.epoch,
            reason.monitor,
            reason.value,
            self.best.get(self.monitor[0]),
            self.best_epoch,
            self.best_epoch if restored else None,
            None if error is None else type(error).__name__,
        )
        if restored:
            self.model.set_weights(self._weights)


def names_of(owner: str, monitor: Any) -> tuple[str, ...]:
    """Return the monitored names, or say what is wrong."""
    found = (monitor,) if isinstance(monitor, str) else monitor
    if not isinstance(found, tuple | list) or not found or not all(isinstance(name, str) and name for name in found):
        raise ValueError(f"{owner}(monitor={monitor!r}) needs a name such as 'val_loss', or a list of names.")
    return tuple(found)


def modes_of(owner: str, mode: Any, names: tuple[str, ...]) -> dict[str, str]:
    """Return the mode of each name, or say what is wrong."""
    given = mode if isinstance(mode, dict) else dict.fromkeys(names, mode)
    _known(owner, "mode", given, names)
    known = ("auto", "min", "max")
    return {name: _checks.one_of(owner, "mode", given.get(name, "auto"), known) for name in names}


def _thresholds(threshold: Any, names: tuple[str, ...]) -> dict[str, float]:
    given = threshold if isinstance(threshold, dict) else {} if threshold is None else {names[0]: threshold}
    _known(_OWNER, "threshold", given, names)
    for value in given.values():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"{_OWNER}(threshold={threshold!r}) needs a number, or one for each name.")
    return dict(given)


def _known(owner: str, argument: str, given: dict[str, Any], names: tuple[str, ...]) -> None:
    unknown = sorted(set(given) - set(names))
    if unknown:
        raise ValueError(f"{owner}({argument}=...) names {unknown}, but monitored are {list(names)}: use those names.")
