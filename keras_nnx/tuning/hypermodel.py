"""Spaces: a builder, and what its arguments may be."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import keras
import keras_tuner

from keras_nnx.tuning._names import label
from keras_nnx.tuning.ranges import Range, resolve
from keras_nnx.tuning.recipe import SCOPE as RECIPE_SCOPE
from keras_nnx.tuning.recipe import Recipe


class InfeasibleError(keras_tuner.errors.FailedTrialError):
    """What a trial has chosen cannot be had: it is not tried again."""


class Space(keras_tuner.HyperModel):
    """What a builder may build; `keras_nnx.tuning.space` makes one.

    Within other spaces it is a value that is built anew for each trial: a block, or a layer.

    Args:
        builder: What builds it.
        arguments: Its arguments: values, ranges, spaces.
        recipe: How a model is trained.
        name: What the names of its ranges begin with.

    Example:
        >>> import keras
        >>> import keras_tuner
        >>> import keras_nnx as nnx
        >>> dense = nnx.tuning.Space(keras.layers.Dense, {"units": nnx.tuning.Int(2, 4)}, nnx.tuning.Recipe(), "head")
        >>> hp = keras_tuner.HyperParameters()
        >>> dense.make(hp, "head").units, hp.values
        (2, {'head/units': 2})
    """

    def __init__(self, builder: Callable[..., Any], arguments: dict[str, Any], recipe: Recipe, name: str) -> None:
        super().__init__(name=name)
        self.builder, self.arguments, self.recipe = builder, arguments, recipe

    def __repr__(self) -> str:
        """Return what is searched in what."""
        return f"<Space {self.name}: {', '.join(f'{key}={_shown(value)}' for key, value in self.arguments.items())}>"

    def declare_hyperparameters(self, hp: keras_tuner.HyperParameters) -> None:
        """Make all ranges known, without building anything."""
        self.make(hp, str(self.name), active=False)
        self.recipe.choose(hp)

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """Return the compiled model of a trial.

        Raises:
            InfeasibleError: If what was chosen does not go together, such as heads that do not divide the width.
        """
        model = self.make(hp, str(self.name))
        if not isinstance(model, keras.Model):
            raise TypeError(f"{self.name} builds no keras.Model, and can only be a part of another space.")
        self.recipe.choose(hp).compile(model)
        return model

    def fit(self, hp: keras_tuner.HyperParameters, model: keras.Model, *args: Any, **kwargs: Any) -> Any:
        """Train the model of a trial, as `keras.Model.fit`, with the batches and the schedule that it has chosen."""
        return self.recipe.choose(hp).fit(model, *args, **kwargs)

    def make(self, hp: keras_tuner.HyperParameters, name: str, active: bool = True) -> Any:
        """Return what a trial has chosen, built; or only make the ranges known.

        Args:
            hp: The hyperparameters of the trial.
            name: The scope of the names.
            active: Whether to build.
        """
        chosen = {key: resolve(value, hp, f"{name}/{key}", active) for key, value in self.arguments.items()}
        if not active:
            return None
        try:
            return self.builder(**chosen)
        except ValueError as error:
            shown = ", ".join(f"{key}={value!r}" for key, value in chosen.items())
            raise InfeasibleError(f"{name}({shown}) cannot be built: {error}") from error


def space(
    builder: Callable[..., Any], /, *, recipe: Recipe | None = None, scope: str | None = None, **arguments: Any
) -> Space:
    """Describe what a model, a block or a layer may be.

    Args:
        builder: What builds it: a function or a class, of this package, of Keras, or your own.
        recipe: How a model is trained. Default: `nnx.tuning.Recipe()`.
        scope: What its names begin with in tables. Default: the name of the builder.
        **arguments: Its arguments: values, or ranges (`Int`, `Float`, `Bool`, `Choice`, `Repeat`), or other spaces, or
            lists, tuples and dictionaries of them.

    Returns:
        A `keras_tuner.HyperModel`.

    Raises:
        TypeError: If the builder has no such argument, or lacks one; its arguments are listed.
        ValueError: If the scope is that of the recipe, `"training"`.

    Example:
        >>> import keras_tuner
        >>> import keras_nnx as nnx
        >>> digits = nnx.tuning.space(
        ...     nnx.models.ViT,
        ...     input_shape=(8, 8, 1),
        ...     classes=10,
        ...     patch_size=2,
        ...     dim=nnx.tuning.Int(32, 64, step=16),
        ...     depth=nnx.tuning.Int(1, 4, default=2),
        ...     num_heads=4,
        ... )
        >>> hp = keras_tuner.HyperParameters()
        >>> digits.build(hp).output_shape
        (None, 10)
        >>> hp.values
        {'ViT/dim': 32, 'ViT/depth': 2}
    """
    if not callable(builder):
        raise TypeError(f"space({builder!r}) needs a function or a class that builds something.")
    name = scope or str(getattr(builder, "__name__", type(builder).__name__))
    if name == RECIPE_SCOPE:
        raise ValueError(f"space(scope={name!r}): the knobs of the recipe are called so; give another scope=.")
    _check_arguments(builder, name, arguments)
    return Space(builder, arguments, recipe or Recipe(), name)


def _shown(value: Any) -> str:
    return str(value) if isinstance(value, Range) else label(value)


def _check_arguments(builder: Callable[..., Any], name: str, arguments: dict[str, Any]) -> None:
    signature = inspect.signature(builder)
    try:
        signature.bind(**arguments)
        _check_layer_arguments(builder, arguments)
    except TypeError as error:
        known = [key for key, entry in signature.parameters.items() if entry.kind not in (entry.VAR_POSITIONAL,)]
        raise TypeError(f"space({name}): {error}. It takes {', '.join(known)}.") from None


def _check_layer_arguments(builder: Callable[..., Any], arguments: dict[str, Any]) -> None:
    """Raise if a layer hands an argument on that none of its bases has: it would be refused in each trial."""
    if not (isinstance(builder, type) and issubclass(builder, keras.layers.Layer)):
        return
    known = {"input_shape", "input_dim"}
    for base in builder.__mro__:
        if base is not object and "__init__" in vars(base):
            known |= set(inspect.signature(vars(base)["__init__"]).parameters)
    for name in arguments:
        if name not in known:
            raise TypeError(f"got an unexpected keyword argument {name!r}")
