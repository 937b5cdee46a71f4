"""How fast a training is."""

from __future__ import annotations

import dataclasses
import time
from typing import Any, ClassVar

import numpy as np
from keras import ops

from keras_nnx.callbacks._stateful import StatefulCallback


@dataclasses.dataclass(frozen=True)
class Throughput:
    """How fast a training was.

    Args:
        epochs: Epochs that were measured.
        steps: Steps in them.
        examples: Examples in them.
        examples_per_second: Examples over the time of the steps, without that of compiling.
        step_seconds_median: Median time of a step.
        step_seconds_p95: The time that 95% of the steps do not exceed.
        compile_seconds: What first executions took longer than the median.
        waiting_seconds: Time between steps: other callbacks, and the start of the data.
    """

    epochs: int
    steps: int
    examples: int
    examples_per_second: float
    step_seconds_median: float
    step_seconds_p95: float
    compile_seconds: float
    waiting_seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers in types that JSON knows."""
        return dataclasses.asdict(self)


class ThroughputMonitor(StatefulCallback):
    """Measures examples per second and the time of a step, with the time of compiling told apart.

    The logs of each epoch get `examples_per_second` and `step_seconds`, and `summary` has all of the training. Steps
    include getting their data. The first execution compiles, and so do the last of the first epoch, where it has a
    smaller batch or fewer steps, and the first behind a change of what trains; what these take beyond the median counts
    as compiling. Like any callback that looks at the end of each step, it makes Keras wait for the logs of each: on an
    accelerator, remove it once you know.

    Attributes:
        summary: A `Throughput`; None before the first step is done.
    """

    _state: ClassVar[tuple[str, ...]] = ("_epochs", "_examples", "_times", "_sizes", "_first", "_waiting")

    def __init__(self) -> None:
        super().__init__()
        self._reset()

    def _reset(self) -> None:
        self._epochs = self._examples = 0
        self._times: list[float] = []  # of executions, in seconds
        self._sizes: list[int] = []  # how many steps were in each
        self._first: list[int] = []  # which of them may have compiled
        self._waiting = 0.0

    def _begin(self) -> None:
        self._function: Any = None
        self._since = 0.0
        self._ended: float | None = None

    def _end(self, error: BaseException | None) -> None:
        self._function = None

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Count from here."""
        self._start = len(self._times)
        self._ended = None

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Start the clock."""
        self._batch, self._since = batch, time.perf_counter()
        if self._ended is not None:
            self._waiting += self._since - self._ended
        if self._model.train_function is not self._function:
            self._function = self._model.train_function
            self._first.append(len(self._times))

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Stop the clock."""
        self._ended = time.perf_counter()
        self._times.append(self._ended - self._since)
        steps = (self.params or {}).get("steps")
        last = batch if steps is None else min(batch, steps - 1)
        self._sizes.append(last - self._batch + 1)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Log how fast the epoch was."""
        if not self._epochs and len(self._times) > 1:
            self._first.append(len(self._times) - 1)
        self._epochs += 1
        examples = int(ops.convert_to_numpy(self.model.metrics[0].count))
        self._examples += examples
        seconds = self._seconds()[self._start :]
        if logs is not None and len(seconds):
            logs["examples_per_second"] = examples / float(seconds.sum())
            logs["step_seconds"] = float(seconds.sum()) / sum(self._sizes[self._start :])

    def _seconds(self) -> np.ndarray:
        """Return the times of the executions, with those that compiled replaced by what they should have taken."""
        times, sizes = np.array(self._times), np.asarray(self._sizes)
        first = sorted({index for index in self._first if index < len(times)})
        others = np.delete(np.arange(len(times)), first)
        each = times / sizes
        typical = np.median(each[others]) if len(others) else each.min()
        times[first] = np.minimum(times[first], typical * sizes[first])
        return times

    @property
    def summary(self) -> Throughput | None:
        """How fast the training was so far."""
        if not self._times:
            return None
        seconds, sizes = self._seconds(), np.asarray(self._sizes)
        each = np.repeat(seconds / sizes, sizes)
        return Throughput(
            self._epochs,
            int(sizes.sum()),
            self._examples,
            self._examples / float(seconds.sum()),
            float(np.median(each)),
            float(np.percentile(each, 95)),
            float(sum(self._times) - seconds.sum()),
            self._waiting,
        )
