"""A schedule that starts over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import keras

from keras_nnx import _checks, _runs
from keras_nnx.callbacks import _monitor, _rates
from keras_nnx.callbacks._stateful import StatefulCallback
from keras_nnx.callbacks.early_stopping import modes_of, names_of
from keras_nnx.schedules import Scaled

_OWNER = "WarmRestarts"


class WarmRestarts(StatefulCallback):
    """Starts the learning rate's schedule over, at given epochs or where training has come to a halt.

    Use it with a schedule that falls, such as a cosine over one period. The weights stay ("warm"). Where the rate is a
    number, as `ReduceOnPlateau` may have left it, a restart puts back the number of the beginning. Restarts at steps
    known beforehand need no callback: `keras_nnx.schedules.CosineRestarts` has them.

    The schedule is put into a `keras_nnx.schedules.Scaled`, as `ReduceOnPlateau` does, whose factor a restart sets
    back to 1 as well.

    Args:
        epochs: The epochs, counted from 0, at whose beginning it restarts.
        monitor: The name of a value: restart when it has not improved for `patience` epochs. None: only at `epochs`.
        patience: Epochs without an improvement, or since the last restart, before one.
        mode: Whether `"min"` or `"max"` is better; `"auto"` asks the metric.
        peak_factor: How high each restart is, times the one before; over 0 and at most 1.
        reset_optimizer: Whether momentum and the like start over too, as in a new optimizer.

    Raises:
        ValueError: If an argument is out of range, there is neither an epoch nor a name, the name does not exist, or
            the learning rate is a function that is no schedule.

    Attributes:
        restarts: The epochs at whose beginning the schedule was started over.

    Source:
        Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts" (2017).
    """

    _state: ClassVar[tuple[str, ...]] = ("best", "wait", "restarts", "_due", "_first_rates")

    def __init__(
        self,
        epochs: Sequence[int] = (),
        monitor: str | None = None,
        patience: int = 10,
        mode: str = "auto",
        peak_factor: float = 1.0,
        reset_optimizer: bool = False,
    ) -> None:
        super().__init__()
        self.epochs = tuple(_checks.positive_integer(_OWNER, "epochs", epoch) for epoch in epochs)
        if monitor is None and not self.epochs:
            raise ValueError(f"{_OWNER} would never restart: give it epochs, or the name of a value to monitor.")
        self.monitor = None if monitor is None else names_of(_OWNER, [monitor])[0]
        self.mode = modes_of(_OWNER, mode, ("",))[""]
        self.patience = _checks.positive_integer(_OWNER, "patience", patience)
        self.peak_factor = _checks.share(_OWNER, "peak_factor", peak_factor)
        self.reset_optimizer = reset_optimizer
        self._reset()

    def _reset(self) -> None:
        self.best: float | None = None
        self.wait = 0
        self.restarts: list[int] = []
        self._due = False
        self._first_rates: list[float] | None = None

    def _begin(self) -> None:
        self._sign: int | None = None
        self._optimizers = _rates.make_adjustable(_OWNER, self.model)
        if self._first_rates is None:
            self._first_rates = [_rates.current(optimizer) for optimizer in self._optimizers]

    def _end(self, error: BaseException | None) -> None:
        self._optimizers = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Restart, if it is time."""
        if (self._due or epoch in self.epochs) and epoch not in self.restarts:
            self.restarts.append(epoch)
            self._due, self.wait = False, 0
            self._restart()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Compare the value of the epoch with the best; log the rate."""
        logs = {} if logs is None else logs
        if self.monitor is not None:
            run = _runs.current(self._model)
            may_follow = self._sign is not None or (run is not None and run.validates)
            value = _monitor.value_of(_OWNER, self.monitor, logs, may_follow)
            if value is not None:
                self._judge(value)
        logs.update(_rates.as_logs(self._optimizers))

    def _judge(self, value: float) -> None:
        if self._sign is None:
            self._sign = _monitor.sign_of(_OWNER, str(self.monitor), self.mode, self.model)
        if _monitor.improved(value, self.best, self._sign, 0.0, 0.0):
            self.best, self.wait = value, 0
        else:
            self.wait += 1
        self._due = self.wait >= self.patience

    def _restart(self) -> None:
        height = self.peak_factor ** len(self.restarts)
        for optimizer, first in zip(self._optimizers, self._first_rates or [], strict=True):
            rate = optimizer._learning_rate
            if isinstance(rate, Scaled):
                rate.factor = height
                rate.offset = int(keras.ops.convert_to_numpy(optimizer._iterations))
            else:
                rate.assign(first * height)
            if self.reset_optimizer:
                _forget(optimizer)
        _rates.follow(self.model)


def _forget(optimizer: Any) -> None:
    """Give an optimizer the state of a new one, but for its steps and its rate."""
    if not optimizer.built:
        return
    new = type(optimizer).from_config(optimizer.get_config())
    new.build(optimizer._trainable_variables)
    kept = {id(optimizer._iterations), id(optimizer._learning_rate)}
    for variable, fresh in zip(optimizer.variables, new.variables, strict=True):
        if id(variable) not in kept:
            variable.assign(fresh)
