"""Layers that begin to train one group after the other."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import keras

from keras_nnx import _checks
from keras_nnx.callbacks._places import Place, places
from keras_nnx.callbacks._stateful import StatefulCallback

_OWNER = "GradualUnfreeze"


class GradualUnfreeze(StatefulCallback):
    """Trains some layers of a model from the start, and others from later epochs on.

    Use it to fine-tune: the new head first, then, from the top down, what was learned elsewhere. Compile the model with
    every layer trainable; the optimizer has its slots for all of them from the beginning, and the training step is
    compiled again when layers join. Layers that no pattern names stay as they are. It needs the TensorFlow backend.

    Args:
        layers: For each epoch, counted from 0, the layers that train from then on: names, paths such as
            `"backbone/block_4"`, or patterns such as `"block_4*"`. A name stands for all layers inside as well. Where
            several fit, the longest decides.

    Raises:
        ValueError: If an epoch is none, a pattern fits no layer with weights (close names are listed), or the optimizer
            was built without some of them.

    Attributes:
        trainable: The names of the layers that were let go, by epoch.

    Example:
        >>> import keras_nnx as nnx
        >>> unfreeze = nnx.callbacks.GradualUnfreeze({0: "head", 2: ["block_3*", "block_4*"], 5: "*"})

    Source:
        Howard and Ruder, "Universal Language Model Fine-tuning for Text Classification" (2018), section 3.3.
    """

    _state: ClassVar[tuple[str, ...]] = ()

    def __init__(self, layers: Mapping[int, str | Sequence[str]]) -> None:
        super().__init__()
        if not isinstance(layers, Mapping) or not layers:
            raise ValueError(f"{_OWNER}(layers={layers!r}) needs a dictionary such as {{0: 'head', 2: 'block_4*'}}.")
        self.layers = {
            _checks.at_least_zero(_OWNER, "layers", epoch): (names,) if isinstance(names, str) else tuple(names)
            for epoch, names in layers.items()
        }
        self.trainable: dict[int, list[str]] = {}

    def _begin(self) -> None:
        if keras.backend.backend() != "tensorflow":
            raise ValueError(
                f"{_OWNER} needs the TensorFlow backend: elsewhere, an optimizer takes the gradients "
                f"of all its variables. Train part by part, with keras_nnx.models.freeze and compile in between."
            )
        found = list(places(self.model))
        self._plan = _plan(self.layers, found)
        planned = {id(layer) for layer, _, _ in self._plan}
        frozen = [layer for _, _, layer in found if not layer.trainable and id(layer) not in planned]
        # A layer trains only if everything around it does; to say so of these says it of all that is in them.
        for _, _, around in self._plan:
            for layer in around:
                layer.trainable = True
        for layer in frozen:
            layer.trainable = False
        for layer, _, _ in self._plan:
            layer.trainable = True
        self._build_optimizer()
        self._let_go(-1)

    def _build_optimizer(self) -> None:
        optimizer, variables = self.model.optimizer, self.model.trainable_variables
        if not optimizer.built:
            optimizer.build(variables)
        try:
            optimizer._check_variables_are_known(variables)
        except ValueError as error:
            raise ValueError(
                f"{_OWNER} found the optimizer built for fewer variables than are to train: compile the model again, "
                f"with all layers trainable."
            ) from error

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Let the layers of this epoch go."""
        self._let_go(epoch)

    def _let_go(self, epoch: int) -> None:
        changed = []
        for layer, start, _ in self._plan:
            if layer.trainable != (start <= epoch):
                layer.trainable = start <= epoch
                changed.append(layer.name)
        if changed:
            if epoch >= 0:
                self.trainable[epoch] = changed
            model = self.model
            # Keras warns of layers that change behind the back of compile; here the step is made anew at once.
            model._compiled_trainable_state = {layer: layer.trainable for layer in model._flatten_layers()}
            model.make_train_function(force=True)

    def _reset(self) -> None:
        self.trainable = {}

    def _end(self, error: BaseException | None) -> None:
        self._plan = []


def _plan(wanted: dict[int, tuple[str, ...]], found_places: list[Place]) -> list[tuple[Any, int, tuple[Any, ...]]]:
    """Return the layers that a pattern fits, each with its epoch and the layers around it."""
    fits = {pattern: 0 for patterns in wanted.values() for pattern in patterns}
    found: dict[int, tuple[Any, int, tuple[Any, ...]]] = {}
    for path, around, layer in found_places:
        matches = [
            (len(pattern), -epoch, pattern)
            for epoch, patterns in wanted.items()
            for pattern in patterns
            if _fits(pattern, path)
        ]
        for _, _, pattern in matches:
            fits[pattern] += 1
        if matches:
            _, epoch, _ = max(matches)
            found[id(layer)] = layer, -epoch, around
    for pattern, count in fits.items():
        if not count:
            names = sorted({name for path, _, _ in found_places for name in (*path, "/".join(path))})
            close = difflib.get_close_matches(pattern, names, n=3) or names[:8]
            raise ValueError(f"{_OWNER}: {pattern!r} fits no layer with weights. There are: {', '.join(close)}.")
    return list(found.values())


def _fits(pattern: str, path: tuple[str, ...]) -> bool:
    """Return whether a pattern fits a layer, or one around it, by its name or its path."""
    starts = ["/".join(path[: count + 1]) for count in range(len(path))]
    return any(fnmatch.fnmatchcase(name, pattern) for name in (*path, *starts))
