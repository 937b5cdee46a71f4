"""A sweep over learning rates, to choose one."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from keras_nnx import _checks, _figures
from keras_nnx.callbacks import _rates
from keras_nnx.callbacks._snapshot import Snapshot, trained_state
from keras_nnx.callbacks._stateful import StatefulCallback

_OWNER = "LearningRateFinder"


class _Sweep(keras.optimizers.schedules.LearningRateSchedule):
    """A rate that grows by the same ratio at each step."""

    def __init__(self, lowest: float, highest: float, steps: int, first: int) -> None:
        self.lowest, self.growth, self.first = lowest, math.log(highest / lowest) / max(1, steps - 1), first

    def __call__(self, step: Any) -> Any:
        passed = ops.cast(ops.convert_to_tensor(step) - self.first, "float32")
        return self.lowest * ops.exp(self.growth * passed)

    def between(self, start: int, end: int) -> float:
        """Return the rate in the middle of some steps."""
        return self.lowest * math.exp(self.growth * ((start + end - 1) / 2 - self.first))


class LearningRateFinder(StatefulCallback):
    """Trains with a rate that grows from step to step, notes the loss, puts everything back, and suggests a rate.

    Use it once before a training: `finder.find(model, x, y)`, or as a callback of a `fit` that is for nothing else. The
    sweep ends when the loss diverges, or at the highest rate. Weights, statistics, random states and the optimizer with
    its slots, counter and schedule are afterwards what they were, bit by bit, on every way out. Whatever else the data
    pipeline drew is not put back.

    Args:
        lowest: The first rate.
        highest: The last rate.
        steps: Steps of the sweep.
        smoothing: How much of each loss is that of the steps before, in [0, 1).
        divergence: The sweep ends when the smoothed loss is more than this many times its lowest, over 1.

    Raises:
        ValueError: If a number is out of its range, the model is not built, or what is asked for was not measured.

    Attributes:
        learning_rates: The rates that were tried.
        losses: The loss at each; with `steps_per_execution`, the mean over so many steps.
        reason: Why the sweep ended: `"completed"`, `"diverged"`, `"no_more_data"`, `"interrupted"`.

    Example:
        >>> import keras
        >>> import numpy as np
        >>> import keras_nnx as nnx
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="ones")])
        >>> model.compile("sgd", "mse")
        >>> x = np.linspace(-1, 1, 32)[:, None]
        >>> finder = nnx.callbacks.LearningRateFinder(1e-3, 100.0, steps=60).find(model, x, 3 * x, batch_size=8)
        >>> finder.reason, bool(0.01 < finder.suggestion < 10.0)
        ('diverged', True)

    Source:
        Smith, "Cyclical Learning Rates for Training Neural Networks" (2017), section 3.3.
    """

    leaves: ClassVar[int] = 2
    _state: ClassVar[tuple[str, ...]] = ("learning_rates", "losses", "reason")

    def __init__(
        self,
        lowest: float = 1e-7,
        highest: float = 10.0,
        steps: int = 100,
        smoothing: float = 0.9,
        divergence: float = 4.0,
    ) -> None:
        super().__init__()
        self.lowest = _checks.positive_number(_OWNER, "lowest", lowest)
        if _checks.positive_number(_OWNER, "highest", highest) <= lowest:
            raise ValueError(f"{_OWNER}(lowest={lowest!r}, highest={highest!r}) has nothing between: raise highest.")
        self.highest = highest
        self.steps = _checks.positive_integer(_OWNER, "steps", steps)
        self.smoothing = _checks.probability(_OWNER, "smoothing", smoothing)
        if not _checks.positive_number(_OWNER, "divergence", divergence) > 1:
            raise ValueError(f"{_OWNER}(divergence={divergence!r}) would end any sweep: use a number over 1.")
        self.divergence = divergence
        self._snapshot: Snapshot | None = None
        self._reset()

    def _reset(self) -> None:
        self.learning_rates: list[float] = []
        self.losses: list[float] = []
        self.reason: str | None = None

    def find(self, model: Any, x: Any, y: Any = None, **arguments: Any) -> LearningRateFinder:
        """Sweep with a compiled model, going over the data as often as needed.

        Args:
            model: A built and compiled model.
            x: Its data, as for `fit`.
            y: The targets, as for `fit`.
            **arguments: Other arguments of `fit`, such as `batch_size`.

        Returns:
            The finder itself.
        """
        callbacks = [*arguments.pop("callbacks", []), self]
        # The sweep stops training when it is done: as many epochs as there are steps are always enough.
        model.fit(x, y, callbacks=callbacks, **{"epochs": self.steps, "verbose": 0, **arguments})
        return self

    def _begin(self) -> None:
        model = self.model
        if not model.built:
            raise ValueError(f"{_OWNER} cannot put back the weights of a model that is not built: call it once before.")
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        self._reset()
        self._snapshot = Snapshot(trained_state(model))
        self._optimizers = _rates.leaves(model.optimizer)
        self._kept_rates = [optimizer._learning_rate for optimizer in self._optimizers]
        self._done = self._first = self._count()
        self._sweep = _Sweep(self.lowest, self.highest, self.steps, self._first)
        self._set_rates([self._sweep] * len(self._optimizers))

    def _count(self) -> int:
        return int(ops.convert_to_numpy(self._optimizers[0]._iterations))

    def _set_rates(self, rates: list[Any]) -> None:
        for optimizer, rate in zip(self._optimizers, rates, strict=True):
            optimizer._learning_rate = rate  # the setter would forget the variable that a number is kept in
        self.model.make_train_function(force=True)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Let the loss be that of the next steps only."""
        if self._snapshot is not None:
            self.model.reset_metrics()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Note the loss, and end the sweep if it is time."""
        if self._snapshot is None:
            return
        if "loss" not in (logs or {}):
            raise ValueError(
                f"{_OWNER} follows one loss, and {self.model.name!r} reports {', '.join(logs or {}) or 'none'}: it has "
                "no answer for a step that trains by something else."
            )
        self.model  # noqa: B018 (on JAX, this brings the counter up to date)
        start, self._done = self._done, self._count()
        if self._done > start:
            self.learning_rates.append(self._sweep.between(start, self._done))
            self.losses.append(float(logs["loss"]))
        elif not math.isfinite(float(logs["loss"])):  # a loss scale leaves such a step out
            self.learning_rates.append(self._sweep.between(start, start + 1))
            self.losses.append(math.nan)
        if self._diverged():
            self.reason = "diverged"
        elif self._done - self._first >= self.steps:
            self.reason = "completed"
        if self.reason is not None:
            self.model.stop_training = True
            self._put_back()

    def _diverged(self) -> bool:
        if not self.losses or not math.isfinite(self.losses[-1]):
            return bool(self.losses)
        smooth = self.smoothed_losses
        return bool(smooth[-1] > self.divergence * smooth.min()) if smooth.min() > 0 else False

    def _put_back(self) -> None:
        if self._snapshot is not None:
            self._snapshot.restore()
            self._set_rates(self._kept_rates)
            self.model.reset_metrics()

    def _end(self, error: BaseException | None) -> None:
        if self.reason is None:
            self.reason = "no_more_data" if error is None else "interrupted"
        # Once more: an optimizer that averages weights has just written its averages into the model.
        self._put_back()
        self._snapshot, self._optimizers, self._kept_rates = None, [], []

    @property
    def smoothed_losses(self) -> np.ndarray:
        """The losses, as an exponential moving average without the pull of its start."""
        average, found = 0.0, []
        for index, loss in enumerate(self.losses):
            average = self.smoothing * average + (1 - self.smoothing) * loss
            found.append(average / (1 - self.smoothing ** (index + 1)))
        return np.asarray(found)

    @property
    def suggestion(self) -> float:
        """The rate at which the loss falls fastest per decade, before its lowest.

        How fast it falls is the slope of a line through the losses around each rate, a fifth of the sweep: the
        moving average is little more than the noise of a few batches at its start, and late everywhere else.

        Raises:
            ValueError: If nothing was swept, or the loss never fell.
        """
        smooth = self.smoothed_losses
        smooth = smooth[: int(np.argmax(~np.isfinite(smooth)))] if not np.isfinite(smooth).all() else smooth
        if len(smooth) < 3:
            raise ValueError(f"{_OWNER} has {len(smooth)} losses, too few to suggest a rate: let it sweep for longer.")
        around = max(1, len(smooth) // 10)
        logarithms, losses = np.log(self.learning_rates[: len(smooth)]), np.asarray(self.losses[: len(smooth)])
        lowest = int(np.argmin(smooth))
        centres = range(around, min(lowest + 1, len(smooth) - around))
        slopes = [_slope(logarithms, losses, centre - around, centre + around + 1) for centre in centres]
        if not slopes or min(slopes) >= 0:
            raise ValueError(f"{_OWNER} saw a loss that never fell: begin at a rate under {self.lowest!r}.")
        return float(self.learning_rates[centres[int(np.argmin(slopes))]])

    def plot(self, path: str | Path) -> Path:
        """Draw the loss over the rate, with the suggestion.

        Args:
            path: The file, such as `"sweep.png"`.

        Returns:
            Where the picture is.

        Raises:
            ImportError: If matplotlib is missing.
        """
        figure = _figures.new_figure()
        panel = figure.subplots()
        panel.plot(self.learning_rates, self.losses, color="#b0b8c4", linewidth=1, label="loss")
        panel.plot(self.learning_rates, self.smoothed_losses, color="#3f66d9", label="smoothed")
        try:
            panel.axvline(self.suggestion, color="#d9822b", linestyle=":", label=f"suggestion: {self.suggestion:.2g}")
        except ValueError:
            panel.set_title("no suggestion: the loss never fell")
        panel.set(xscale="log", xlabel="learning rate", ylabel="loss")
        panel.grid(alpha=0.3)
        panel.legend(frameon=False)
        return _figures.save(figure, path)


def _slope(x: np.ndarray, y: np.ndarray, start: int, end: int) -> float:
    """Return the slope of the line through some points."""
    x, y = x[start:end] - x[start:end].mean(), y[start:end]
    return float((x * y).sum() / (x * x).sum())
