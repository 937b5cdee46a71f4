"""How a model is trained: the classic knobs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import keras_tuner

from keras_nnx import schedules
from keras_nnx.tuning import _lengths as lengths
from keras_nnx.tuning.ranges import Choice, Float, resolve

OPTIMIZERS = ("sgd", "momentum", "rmsprop", "adagrad", "adam", "adamw")
SCHEDULES = ("constant", "cosine", "exponential", "one-cycle", "warmup-stable-decay")
SCOPE = "training"
_WARM_UP = 0.1
_LEAST_STEPS_OF_A_CYCLE = 4  # of which it needs at least one to rise


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Loss, optimizer, learning rate and its schedule, batch size. Each may be a value or a range.

    Args:
        loss: As in `keras.Model.compile`.
        metrics: As in `keras.Model.compile`.
        optimizer: One of `"sgd"`, `"momentum"`, `"rmsprop"`, `"adagrad"`, `"adam"` and `"adamw"`.
        learning_rate: The highest rate of the schedule.
        weight_decay: How much of each weight a step takes away, times the rate; of `"adamw"` and the others alike.
        momentum: Of `"momentum"` and `"rmsprop"`.
        schedule: `"constant"`, `"cosine"`, `"exponential"` (to a hundredth), `"one-cycle"` or `"warmup-stable-decay"`,
            over all steps of the training; with `initial_epoch` it goes on where these epochs would have left it. Of
            fewer than four steps, `"one-cycle"` is `"cosine"`.
        batch_size: Examples in a batch, of arrays and data sets alike. Default: that of the data.
        clipnorm: The largest norm of the gradient of one weight; None for any.
        jit_compile: Whether XLA compiles the step; `"auto"`: where there is an accelerator, since on processors it
            compiles for longer than a short training takes.

    Example:
        >>> import keras_tuner
        >>> import keras_nnx as nnx
        >>> recipe = nnx.tuning.Recipe(learning_rate=nnx.tuning.Float(1e-4, 1e-2, sampling="log", default=1e-3))
        >>> recipe.choose(keras_tuner.HyperParameters()).learning_rate
        0.001
    """

    loss: Any = "sparse_categorical_crossentropy"
    metrics: Sequence[Any] = ("accuracy",)
    optimizer: Any = "adam"
    learning_rate: Any = 1e-3
    weight_decay: Any = 0.0
    momentum: Any = 0.9
    schedule: Any = "constant"
    batch_size: Any = None
    clipnorm: Any = None
    jit_compile: bool | str = "auto"

    def __post_init__(self) -> None:
        if isinstance(self.metrics, str):
            raise ValueError(f"Recipe(metrics={self.metrics!r}) needs a list, such as [{self.metrics!r}].")
        for name, known in (("optimizer", OPTIMIZERS), ("schedule", SCHEDULES)):
            value = getattr(self, name)
            for entry in value.values.values() if isinstance(value, Choice) else [value]:
                if entry not in known:
                    raise ValueError(f"Recipe({name}={entry!r}) is unknown: choose one of {', '.join(known)}.")

    def choose(self, hp: keras_tuner.HyperParameters) -> Recipe:
        """Return the recipe of a trial, in which each range is a value."""
        names = [entry.name for entry in dataclasses.fields(self)]
        return Recipe(**{name: resolve(getattr(self, name), hp, f"{SCOPE}/{name}") for name in names})

    def compile(self, model: keras.Model, steps: int | None = None, done: int = 0) -> None:
        """Compile a model.

        Args:
            model: The model.
            steps: How many steps the training will have; without, the rate is constant.
            done: How many of them an earlier training has done, whose weights the model has.
        """
        rate = self.learning_rate if steps is None else self._schedule(steps)
        if done and isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
            rate = schedules.Scaled(rate, offset=-done)
        jit = worth_compiling() if self.jit_compile == "auto" else self.jit_compile
        model.compile(self._optimizer(rate), self.loss, metrics=_listed(self.metrics), jit_compile=jit)
        if model.built:  # or else TensorFlow traces the first step twice, since it makes variables
            model.optimizer.build(model.trainable_variables)

    def fit(self, model: keras.Model, x: Any = None, y: Any = None, **kwargs: Any) -> keras.callbacks.History:
        """Train a model that `compile` has compiled, over the schedule.

        Args:
            model: The model.
            x: As in `keras.Model.fit`.
            y: As in `keras.Model.fit`.
            **kwargs: What else `fit` takes.

        Returns:
            The history.
        """
        is_data_set = hasattr(x, "element_spec")
        if self.batch_size is not None and is_data_set:
            x = lengths.batched_anew(x, self.batch_size)
        elif self.batch_size is not None and not isinstance(x, keras.utils.PyDataset):
            kwargs["batch_size"] = self.batch_size
        if self.schedule != "constant":
            x = lengths.counted(x)
            steps = lengths.steps(x, kwargs)
            self.compile(model, max(1, kwargs.get("epochs", 1) * steps), kwargs.get("initial_epoch", 0) * steps)
        _make_metrics(model, x, y)
        return model.fit(x, y, **kwargs)

    def _optimizer(self, rate: Any) -> keras.optimizers.Optimizer:
        common = {"learning_rate": rate, "weight_decay": self.weight_decay or None, "clipnorm": self.clipnorm}
        made: dict[str, Any] = {
            "sgd": lambda: keras.optimizers.SGD(**common),
            "momentum": lambda: keras.optimizers.SGD(momentum=self.momentum, nesterov=True, **common),
            "rmsprop": lambda: keras.optimizers.RMSprop(momentum=self.momentum, **common),
            "adagrad": lambda: keras.optimizers.Adagrad(**common),
            "adam": lambda: keras.optimizers.Adam(**common),
            "adamw": lambda: keras.optimizers.AdamW(**{**common, "weight_decay": self.weight_decay or 0.0}),
        }
        return made[self.optimizer]()

    def _schedule(self, steps: int) -> Any:
        rate, warm_up = self.learning_rate, min(steps - 1, round(_WARM_UP * steps))
        if self.schedule == "cosine" or (self.schedule == "one-cycle" and steps < _LEAST_STEPS_OF_A_CYCLE):
            return schedules.CosineRestarts(rate, period=steps, restarts=0)
        if self.schedule == "exponential":
            return schedules.ExponentialDecay(rate, decay_steps=steps, decay_rate=0.01)
        if self.schedule == "one-cycle" and steps >= _LEAST_STEPS_OF_A_CYCLE:
            return schedules.OneCycle(rate, steps)
        if self.schedule == "warmup-stable-decay":
            falling = max(1, steps // 5)
            return schedules.WarmupStableDecay(rate, warm_up, max(0, steps - warm_up - falling), falling)
        return rate


def _listed(metrics: Any) -> Any:
    return dict(metrics) if isinstance(metrics, Mapping) else list(metrics)


def worth_compiling() -> bool | str:
    """Return what `jit_compile` is to be where nothing is said."""
    if keras.backend.backend() != "tensorflow":
        return "auto"
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))


def knobs(**replaced: Any) -> Recipe:
    """Return the recipe that searches the classic knobs: optimizer, rate, decay, schedule and batch size.

    Args:
        **replaced: What is to be otherwise, as arguments of `Recipe`.

    Example:
        >>> import keras_nnx as nnx
        >>> recipe = nnx.tuning.knobs(optimizer="adamw")
        >>> recipe.learning_rate.low, recipe.learning_rate.high
        (0.0001, 0.1)
    """
    return Recipe(
        **{
            "optimizer": Choice(list(OPTIMIZERS), default="adam"),
            "learning_rate": Float(1e-4, 1e-1, sampling="log", default=1e-3),
            "weight_decay": Float(1e-6, 1e-2, sampling="log", default=1e-4),
            "schedule": Choice(list(SCHEDULES)),
            "batch_size": Choice([32, 64, 128]),
            **replaced,
        }
    )


def _make_metrics(model: keras.Model, x: Any, y: Any) -> None:
    """Let the metrics of a model with one output make their variables now, so that its step is traced once.

    TensorFlow traces a function again that has made variables, which takes as long as some epochs of a small model.
    """
    spec = getattr(x, "element_spec", None)
    target = y if spec is None else spec[1] if isinstance(spec, tuple) and len(spec) == 2 else None
    shape, dtype = getattr(target, "shape", None), getattr(target, "dtype", None)
    if shape is None or dtype is None or not model.built or len(getattr(model, "outputs", None) or ()) != 1:
        return
    sizes, scores = tuple(shape)[1:], tuple(model.outputs[0].shape)[1:]
    if None not in (*sizes, *scores):
        kind = keras.backend.standardize_dtype(dtype)
        model.compute_metrics(None, keras.ops.zeros((1, *sizes), kind), keras.ops.zeros((1, *scores)))
        model.reset_metrics()
