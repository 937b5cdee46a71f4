"""Gradients, updates and activations, layer by layer, while a model trains."""

from __future__ import annotations

import math
import time
import warnings
from pathlib import Path
from typing import Any, ClassVar

import keras
from keras import ops

from keras_nnx import _checks, _figures, _runs
from keras_nnx.callbacks import _tensorflow
from keras_nnx.callbacks._places import named_layers, places
from keras_nnx.callbacks._stateful import StatefulCallback
from keras_nnx.callbacks.gradient_findings import FindingKind, GradientFinding, GradientWarning, Limits, judge

_OWNER = "GradientMonitor"
_DEAD = ("relu", "relu6")
_SATURATED = ("tanh", "sigmoid", "hard_sigmoid")


class GradientMonitor(StatefulCallback):
    """Watches, layer by layer, gradients and updates, units that are dead and answers that are saturated.

    Every now and then it computes the gradient of one batch once more, always the same, in a step of its own that
    leaves no trace in the model. By default it does so as often as takes `share` of the time of training; compiling
    that step, once, comes on top, and `cost` has both. What it sees is in `history`; what is wrong, with the layer and
    a remedy, is in `findings`, and is warned of once (`GradientWarning`). It needs the TensorFlow backend.

    Args:
        interval: Steps from one look to the next; None: as often as `share` allows.
        share: The share of the time of training that looking may take, in (0, 1).
        data: A batch, as `(inputs, targets)` or with sample weights. Default: the first of what `fit` was given, if
            that is arrays, a `PyDataset` or a `tf.data.Dataset`. (A data set that shuffles draws one order more for
            it.)
        limits: From where on something is a finding.
        log_dir: The folder for TensorBoard's scalars. None: none.

    Raises:
        ValueError: If an argument is out of range, the backend is another, or there is no batch to be had.
        ImportError: If there is a `log_dir` and no TensorBoard; the message names the pip command.

    Attributes:
        history: For each look the `"step"`, and by layer the norms of `"gradient"`, `"update"` (what the weights moved
            by in one execution) and `"weight"`, the share of `"dead"` units, and that of `"saturated"` answers.
        findings: What is wrong, as `GradientFinding`, once for each layer and kind.
        cost: How many looks there were, what they took, and which share of the training that is.
    """

    _state: ClassVar[tuple[str, ...]] = ("history", "_found", "_step")
    _shared: ClassVar[tuple[str, ...]] = ("data",)

    def __init__(
        self,
        interval: int | None = None,
        share: float = 0.05,
        data: Any = None,
        limits: Limits | None = None,
        log_dir: str | Path | None = None,
    ) -> None:
        super().__init__()
        self.interval = _checks.optional_positive_integer(_OWNER, "interval", interval)
        if _checks.probability(_OWNER, "share", share) == 0:
            raise ValueError(f"{_OWNER}(share={share!r}) leaves no time to look: use a share over 0.")
        self.share = share
        self.data = data
        self.limits = Limits() if limits is None else limits
        self.log_dir = None if log_dir is None else str(log_dir)
        self._reset()

    def _reset(self) -> None:
        self.history: list[dict[str, Any]] = []
        self._found: list[dict[str, Any]] = []
        self._step = self._looks = 0
        self._spent = self._compiling = 0.0
        self._total: float | None = 0.0

    def _begin(self) -> None:
        if keras.backend.backend() != "tensorflow":
            raise ValueError(f"{_OWNER} needs the TensorFlow backend, not {keras.backend.backend()}: leave it out.")
        own = type(self.model).train_step is not keras.Model.train_step
        if own and getattr(self.model, "_compile_loss", None) is None:
            raise ValueError(
                f"{_OWNER} looks at the gradient of one loss, and {self.model.name!r} trains by a step of its own "
                "without one: leave it out. For a GAN there is nnx.training.GANMonitor."
            )
        self._write = None if self.log_dir is None else _tensorflow.scalar_writer(self.log_dir)
        self._batch = keras.tree.map_structure(_as_tensor, _batch_of(self.data, _runs.current(self._model)))
        self._probe: Any = None
        self._before: dict[str, list[Any]] | None = None
        self._difference: Any = None
        self._began = time.perf_counter()
        self._spent = self._compiling = self._last = self._typical = 0.0
        self._looks = 0
        self._total = None

    @property
    def findings(self) -> list[GradientFinding]:
        """What is wrong, once for each layer and kind."""
        return [GradientFinding(**{**entry, "kind": FindingKind(entry["kind"])}) for entry in self._found]

    @property
    def cost(self) -> dict[str, float]:
        """What looking took: how often, how long, and that as a share of the rest of the time."""
        training = self._elapsed() - self._spent - self._compiling
        return {
            "looks": self._looks,
            "seconds": self._spent,
            "compile_seconds": self._compiling,
            "share": self._spent / training if training > 0 else 0.0,
        }

    def _elapsed(self) -> float:
        return time.perf_counter() - self._began if self._total is None else self._total

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Keep the weights, if this step is looked at."""
        if not self._is_time():
            return
        start = time.perf_counter()
        if self._probe is not None:
            self._before = {n: [ops.copy(v.value) for v in group] for n, group in self._groups.items()}
        self._last = time.perf_counter() - start

    def _is_time(self) -> bool:
        if self._probe is None:
            return False
        if self.interval is not None:
            return self._step % self.interval == 0
        training = self._elapsed() - self._spent - self._compiling
        return self._spent + self._typical <= self.share * training

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Look, if it is time."""
        before = self._step
        self._step = int(ops.convert_to_numpy(self.model.optimizer.iterations))
        if self._probe is None:
            self._prepare()
        if self._before is None:
            return
        start = time.perf_counter()
        update = {name: float(value) for name, value in self._difference(self._before).items()}
        self._before = None
        record = {"step": self._step, **_numbers(self._probe(*self._batch)), "update": update}
        self._typical = self._last + time.perf_counter() - start
        self._spent += self._typical
        self._looks += 1
        self._note(record, before)

    def _prepare(self) -> None:
        """Compile the look behind the first step, when the model is surely built, and see what one takes."""
        start = time.perf_counter()
        model = self.model
        found = [("/".join(path), layer) for path, _, layer in places(model)]
        self._groups = {n: list(layer._trainable_variables) for n, layer in found if layer.trainable}
        self._groups = {n: group for n, group in self._groups.items() if group}
        self._difference = _tensorflow.make_difference(self._groups)
        self._probe = _tensorflow.make_probe(model, self._groups, _activations(model))
        _numbers(self._probe(*self._batch))
        again = time.perf_counter()
        _numbers(self._probe(*self._batch))
        self._typical = time.perf_counter() - again
        self._compiling = time.perf_counter() - start

    def _note(self, record: dict[str, Any], before: int) -> None:
        self.history.append(record)
        if self._write is not None:
            kinds = ("gradient", "update", "weight", "dead", "saturated")
            self._write({f"{kind}/{layer}": v for kind in kinds for layer, v in record[kind].items()}, self._step)
        known = {(entry["kind"], entry["layer"]) for entry in self._found}
        sizes = {name: sum(int(v.value.shape.num_elements()) for v in group) for name, group in self._groups.items()}
        for finding in judge(record, sizes, self.limits):
            if (str(finding.kind), finding.layer) not in known:
                self._found.append(finding.to_dict())
                warnings.warn(str(finding), GradientWarning, stacklevel=2)

    def _end(self, error: BaseException | None) -> None:
        self._total = self._elapsed()
        self._probe = self._before = self._batch = self._write = self._difference = None
        self._groups = {}

    def plot(self, path: str | Path) -> Path:
        """Draw the norms of gradients and of relative updates, by layer, over the steps.

        Args:
            path: The file, such as `"gradients.png"`.

        Returns:
            Where the picture is.

        Raises:
            ImportError: If matplotlib is missing.
            ValueError: If nothing was looked at yet.
        """
        if not self.history:
            raise ValueError(f"{_OWNER} has nothing to draw yet: train with it first.")
        figure = _figures.new_figure(8, 7)
        steps = [record["step"] for record in self.history]
        panels = figure.subplots(2, 1, sharex=True)
        for layer in self.history[-1]["gradient"]:
            gradients = [record["gradient"].get(layer, math.nan) for record in self.history]
            moves = [record["update"].get(layer, math.nan) for record in self.history]
            sizes = [record["weight"].get(layer, math.nan) or math.nan for record in self.history]
            moves = [move / size for move, size in zip(moves, sizes, strict=True)]
            for panel, values in zip(panels, (gradients, moves), strict=True):
                panel.plot(steps, values, marker="." if len(steps) < 30 else None, label=layer)
        panels[0].set(yscale="log", ylabel="norm of the gradient")
        panels[1].set(yscale="log", ylabel="update over weights", xlabel="step")
        panels[0].legend(frameon=False, fontsize=7, ncols=2)
        for panel in panels:
            panel.grid(alpha=0.3)
        return _figures.save(figure, path)


def _batch_of(data: Any, run: _runs.Run | None) -> tuple[Any, Any, Any]:
    """Return the batch to look at: what was given, or the first that `fit` trains on."""
    if data is not None:
        return keras.utils.unpack_x_y_sample_weight(data)
    arguments = {} if run is None else run.arguments
    x: Any
    x, y, weight = (arguments.get(name) for name in ("x", "y", "sample_weight"))
    if isinstance(x, keras.utils.PyDataset):
        return keras.utils.unpack_x_y_sample_weight(x[0])
    if hasattr(x, "element_spec"):
        return keras.utils.unpack_x_y_sample_weight(next(iter(x)))
    if x is None or not all(hasattr(array, "shape") for array in keras.tree.flatten(x)):
        raise ValueError(f"{_OWNER} cannot take a batch from {type(x).__name__}: give one, as data=(inputs, targets).")
    size = arguments.get("batch_size") or 32

    def first(values: Any) -> Any:
        return None if values is None else keras.tree.map_structure(lambda array: array[:size], values)

    return first(x), first(y), first(weight)


def _as_tensor(value: Any) -> Any:
    return None if value is None else ops.convert_to_tensor(value)


def _activations(model: Any) -> _tensorflow.Activations:
    """Return the layers whose answers say something, each with what to look for and the name of its function."""
    found: _tensorflow.Activations = {}
    seen: set[int] = set()
    for name, layer in named_layers(model):
        function = getattr(getattr(layer, "activation", None), "__name__", None)
        if isinstance(layer, keras.layers.ReLU):
            function = "relu"
        # What a recurrent layer answers, or one made of others, need not be what its activation answers.
        made_of_others = hasattr(layer, "cell") or layer._flatten_layers(recursive=False, include_self=False)
        if made_of_others or id(layer) in seen:
            continue
        seen.add(id(layer))
        if function in _DEAD:
            found[name] = layer, f"dead:{function}"
        elif function in _SATURATED:
            found[name] = layer, f"saturated:{function}"
    return found


def _numbers(values: dict[str, dict[str, Any]]) -> dict[str, dict[str, float]]:
    return {kind: {name: float(value) for name, value in entries.items()} for kind, entries in values.items()}
