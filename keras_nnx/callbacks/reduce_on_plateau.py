"""A smaller learning rate where training has come to a halt."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

from keras_nnx import _checks, _runs
from keras_nnx.callbacks import _monitor, _rates
from keras_nnx.callbacks._stateful import StatefulCallback
from keras_nnx.callbacks.early_stopping import modes_of, names_of

_OWNER = "ReduceOnPlateau"


@dataclasses.dataclass(frozen=True)
class Reduction:
    """One reduction of the learning rate.

    Args:
        epoch: The epoch behind which it was, counted from 0.
        monitor: The name of the value that had stopped to improve.
        value: Its last value.
        best: Its best.
        rates: The learning rates from then on, by the name of the optimizer.
    """

    epoch: int
    monitor: str
    value: float
    best: float
    rates: dict[str, float]


class ReduceOnPlateau(StatefulCallback):
    """Multiplies the learning rate by a factor when a value has stopped to improve, on top of a schedule too.

    `keras.callbacks.ReduceLROnPlateau` raises where the optimizer has a schedule. Here the schedule goes on, times
    what the reductions make together: a `keras_nnx.schedules.Scaled` takes its place in the optimizer, and on the
    TensorFlow backend its factor reaches the compiled step without compiling again. It stays there when training ends,
    so that a saved model goes on at the reduced rate; `optimizer.learning_rate = schedule` undoes it.

    Args:
        monitor: The name of a value in the logs.
        factor: What the rate is multiplied by, over 0 and under 1.
        patience: Epochs without an improvement before a reduction; epochs without a validation do not count.
        mode: Whether `"min"` or `"max"` is better; `"auto"` asks the metric.
        min_delta: What counts as an improvement: more than this much,
        min_relative: and more than this share of the best value so far.
        cooldown: Epochs behind a reduction that do not count.
        min_rate: The rate is not reduced below this.

    Raises:
        ValueError: If an argument is out of range, the name does not exist, which lists those that do, or the learning
            rate is a function that is no schedule.

    Attributes:
        reductions: The reductions so far, as `Reduction`.
    """

    _state: ClassVar[tuple[str, ...]] = ("best", "wait", "resting", "_reductions")

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        mode: str = "auto",
        min_delta: float = 0.0,
        min_relative: float = 1e-4,
        cooldown: int = 0,
        min_rate: float = 0.0,
    ) -> None:
        super().__init__()
        (self.monitor,) = names_of(_OWNER, [monitor])
        self.mode = modes_of(_OWNER, mode, (self.monitor,))[self.monitor]
        if _checks.probability(_OWNER, "factor", factor) == 0:
            raise ValueError(f"{_OWNER}(factor={factor!r}) would end all training: use a factor over 0.")
        self.factor = factor
        self.patience = _checks.positive_integer(_OWNER, "patience", patience)
        self.min_delta = _checks.at_least(_OWNER, "min_delta", min_delta, 0)
        self.min_relative = _checks.at_least(_OWNER, "min_relative", min_relative, 0)
        self.cooldown = _checks.at_least_zero(_OWNER, "cooldown", cooldown)
        self.min_rate = _checks.at_least(_OWNER, "min_rate", min_rate, 0)
        self._reset()

    def _reset(self) -> None:
        self.best: float | None = None
        self.wait = self.resting = 0
        self._reductions: list[dict[str, Any]] = []

    @property
    def reductions(self) -> list[Reduction]:
        """The reductions so far."""
        return [Reduction(**entry) for entry in self._reductions]

    def _begin(self) -> None:
        self._sign: int | None = None
        self._optimizers = _rates.make_adjustable(_OWNER, self.model)

    def _end(self, error: BaseException | None) -> None:
        self._optimizers = []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Compare the value of the epoch with the best, and reduce the rate if it is time; log the rate."""
        logs = {} if logs is None else logs
        run = _runs.current(self._model)
        may_follow = self._sign is not None or (run is not None and run.validates)
        value = _monitor.value_of(_OWNER, self.monitor, logs, may_follow)
        logs.update(_rates.as_logs(self._optimizers))
        if value is None:
            return
        if self._sign is None:
            self._sign = _monitor.sign_of(_OWNER, self.monitor, self.mode, self.model)
        resting, self.resting = self.resting > 0, max(0, self.resting - 1)
        if _monitor.improved(value, self.best, self._sign, self.min_delta, self.min_relative):
            self.best, self.wait = value, 0
            return
        self.wait = 0 if resting else self.wait + 1
        if self.wait >= self.patience:
            self._reduce(epoch, value)

    def _reduce(self, epoch: int, value: float) -> None:
        rates = {}
        for optimizer in self._optimizers:
            rate = _rates.current(optimizer)
            if rate > self.min_rate:
                _rates.scale(self.model, optimizer, max(self.factor, self.min_rate / rate))
                rates[optimizer.name] = _rates.current(optimizer)
        if rates:
            best = value if self.best is None else self.best
            entry = Reduction(epoch, self.monitor, value, best, rates)
            self._reductions.append(dataclasses.asdict(entry))
            self.wait, self.resting = 0, self.cooldown
