"""Means of weights."""

from __future__ import annotations

from typing import Any, ClassVar

import keras
from keras import ops

from keras_nnx import _checks
from keras_nnx.callbacks import _batch_statistics
from keras_nnx.callbacks._stateful import StatefulCallback

_OWNER = "WeightAveraging"


class WeightAveraging(StatefulCallback):
    """Averages the weights of a training, and leaves the model with the mean.

    It is steadier, and often better, than any of the weights on the way.

    `kind="ema"` is an exponential moving average over steps, `kind="swa"` the plain mean over the ends of epochs, for a
    rate that stays high. Unlike `use_ema` and `keras.callbacks.SwapEMAWeights` it warms up, works with any optimizer
    without slots of its own, leaves the average on every way out, and estimates the statistics of batch normalisations
    anew, which belong to other weights else.

    All weights are averaged, statistics included, in float32 at least; integers are copied. With `steps_per_execution`
    over 1, the weights are seen at the end of an execution only; they count there for all its steps, so that the
    average reaches as far back as with single steps.

    With `validate=True` the averaged weights are in the model from the validation of an epoch to the beginning of the
    next: callbacks at the end of an epoch, such as `EarlyStopping` and `ModelCheckpoint`, see and save these. If an
    `EarlyStopping` restores weights when training ends, its weights stay; without validation, put it behind this one.

    Args:
        kind: `"ema"` or `"swa"`.
        decay: Of `"ema"`: the weight of the average so far, from step to step; in (0, 1).
        warmup: Of `"ema"`: whether the decay begins small, as `(1 + step) / (10 + step)`, so that the first weights are
            soon forgotten.
        start_epoch: The first epoch, counted from 0, whose weights count.
        validate: Whether validations use the average.
        data: Inputs, or batches of `inputs` or `(inputs, targets)`, to estimate the statistics of batch normalisations
            with: whenever the average is put into the model. None: they are averaged as the weights are.
        batches: How many batches of these at most. Default: all.

    Raises:
        ValueError: If an argument is unknown or out of range, or the data can be gone through only once.

    Attributes:
        count: Steps or epochs that were averaged.

    Source:
        Izmailov et al., "Averaging Weights Leads to Wider Optima and Better Generalization" (2018); Polyak and
        Juditsky, "Acceleration of Stochastic Approximation by Averaging" (1992).
    """

    leaves: ClassVar[int] = 0
    _state: ClassVar[tuple[str, ...]] = ("count", "_averages", "_raw")
    _shared: ClassVar[tuple[str, ...]] = ("data",)

    def __init__(
        self,
        kind: str = "ema",
        decay: float = 0.999,
        warmup: bool = True,
        start_epoch: int = 0,
        validate: bool = True,
        data: Any = None,
        batches: int | None = None,
    ) -> None:
        super().__init__()
        self.kind = _checks.one_of(_OWNER, "kind", kind, ("ema", "swa"))
        if _checks.probability(_OWNER, "decay", decay) == 0:
            raise ValueError(f"{_OWNER}(decay={decay!r}) would keep the last weights only: use a decay over 0.")
        self.decay = decay
        self.warmup = warmup
        self.start_epoch = _checks.at_least_zero(_OWNER, "start_epoch", start_epoch)
        self.validate = validate
        self.data = _batch_statistics.check_data(_OWNER, data)
        self.batches = _checks.optional_positive_integer(_OWNER, "batches", batches)
        self._reset()

    def _reset(self) -> None:
        self.count = 0
        self._averages: list[Any] | None = None
        self._raw: list[Any] | None = None

    def _begin(self) -> None:
        self._epoch = 0
        self._steps: int | None = None
        self._counted: int | None = None

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Let training go on from its own weights."""
        self._epoch = epoch
        self._take_out()
        if self._steps is None:
            self._steps = self._iterations()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Average over the steps that were made."""
        if self.kind == "swa" or self._epoch < self.start_epoch:
            return
        model, before = self.model, self._steps or 0
        self._steps = self._iterations()
        made = self._steps - before
        if made > 0:
            kept = 1.0
            for step in range(self.count, self.count + made):
                kept *= min(self.decay, (1 + step) / (10 + step)) if self.warmup else self.decay
            self._blend(model, kept if self._averages is not None else 0.0)
            self.count += made

    def on_test_begin(self, logs: Any = None) -> None:
        """Validate the average, if that is wanted."""
        if self.validate and self._training:
            self._count_epoch()
            self._put_in()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Average over the epoch."""
        self._count_epoch()

    def _end(self, error: BaseException | None) -> None:
        self._put_in()
        self._raw = None

    def _iterations(self) -> int:
        return int(ops.convert_to_numpy(self.model.optimizer.iterations))

    def _count_epoch(self) -> None:
        """Count the weights at the end of an epoch, once."""
        if self.kind == "swa" and self.start_epoch <= self._epoch and self._counted != self._epoch:
            self._blend(self.model, self.count / (self.count + 1))
            self.count += 1
            self._counted = self._epoch

    def _blend(self, model: Any, kept: float) -> None:
        """Move the averages towards the weights, of which they keep a share."""
        weights = [_wide(weight) for weight in model.weights]
        if self._averages is None:
            self._averages = weights
            return
        for index, weight in enumerate(weights):
            if _is_float(weight):
                # Written like this, what does not move stays what it is to the last bit.
                average = ops.convert_to_tensor(self._averages[index])
                self._averages[index] = average + (weight - average) * (1 - kept)
            else:
                self._averages[index] = weight

    def _put_in(self) -> None:
        if self._averages is not None and self._raw is None:
            model = self.model
            self._raw = [ops.convert_to_numpy(weight).copy() for weight in model.weights]
            for weight, average in zip(model.weights, self._averages, strict=True):
                weight.assign(ops.cast(average, weight.dtype))
            if self.data is not None:
                _batch_statistics.estimate(model, self.data, self.batches)

    def _take_out(self) -> None:
        if self._raw is not None:
            for weight, value in zip(self.model.weights, self._raw, strict=True):
                weight.assign(value)
            self._raw = None


def _is_float(value: Any) -> bool:
    return "float" in keras.backend.standardize_dtype(value.dtype)


def _wide(weight: Any) -> Any:
    """Return the value of a weight now, in float32 where it has fewer bits."""
    narrow = keras.backend.standardize_dtype(weight.dtype) in ("float16", "bfloat16")
    return ops.cast(weight, "float32") if narrow else ops.copy(ops.convert_to_tensor(weight))
