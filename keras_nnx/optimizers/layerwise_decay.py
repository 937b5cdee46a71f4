"""A learning rate for each layer."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from keras_nnx import _checks
from keras_nnx.optimizers import _paths

_OWNER = "LayerwiseDecay"


@keras.saving.register_keras_serializable(package="keras_nnx")
class LayerwiseDecay(keras.optimizers.Optimizer):
    """Gives every layer a learning rate of its own: that of another optimizer, times a multiplier.

    Use it to fine-tune a trained model: the first layers, which know what all tasks share, move less than the last
    ones. `from_model` makes the multipliers. What is scaled is the step and not the gradient, to whose scale Adam and
    its relatives are blind; decoupled weight decay, a multiple of the learning rate, is scaled too.

    Clipping, moving averages, gradient accumulation, a loss scale and the schedule are those of the inner optimizer;
    `learning_rate` and `iterations` are its own. It runs on the TensorFlow and the JAX backend.

    A model that Keras loads has new names for some weights: `Sequential` and subclassed models leave out their own. A
    saved optimizer therefore knows its multipliers by position as well, and a loaded model goes on as it was.

    Args:
        inner_optimizer: A new optimizer, such as `keras.optimizers.AdamW(1e-4)`; it serves this one only.
        multipliers: A number of at least 0 for each path. A variable has that of the longest path that its own
            `variable.path` equals or, up to a `"/"`, begins with: `{"encoder": 0.1, "encoder/dense/bias": 0.0}`.
        default: The multiplier of all other variables.
        **kwargs: `name`.

    Raises:
        ValueError: If a number is out of its range; the inner optimizer leaves its steps to others, as
            `LossScaleOptimizer` does, or is in use; or, once the variables are known, a path fits none of them.

    Example:
        >>> import keras
        >>> import keras_nnx as nnx
        >>> hidden, head = keras.layers.Dense(8, name="hidden"), keras.layers.Dense(2, name="head")
        >>> model = keras.Sequential([keras.Input((4,)), hidden, head], name="classifier")
        >>> optimizer = nnx.optimizers.LayerwiseDecay.from_model(keras.optimizers.AdamW(1e-3), model, decay=0.5)
        >>> optimizer.multipliers
        {'classifier/hidden': 0.5, 'classifier/head': 1.0}
        >>> model.compile(optimizer, "mse")

    Source:
        Clark et al., "ELECTRA: Pre-training Text Encoders as Discriminators Rather Than Generators" (2020), appendix B;
        Bao et al., "BEiT: BERT Pre-Training of Image Transformers" (2022), appendix.
    """

    def __init__(
        self, inner_optimizer: Any, multipliers: dict[str, float], default: float = 1.0, **kwargs: Any
    ) -> None:
        _check_inner(inner_optimizer)
        if set(kwargs) - {"name"}:
            raise ValueError(f"LayerwiseDecay got {sorted(kwargs)}: it takes a name; give the rest to inner_optimizer.")
        super().__init__(learning_rate=0.0, **kwargs)
        self.inner_optimizer = inner_optimizer
        self.multipliers = _paths.factors(_OWNER, "multipliers", multipliers)
        self.default = _paths.factor(_OWNER, "default", default)
        self._factors: tuple[float, ...] = ()
        self._decaying: float | None = None
        self._restored = False
        self._unmatched: tuple[str, ...] = ()

    @classmethod
    def from_model(cls, inner_optimizer: Any, model: Any, decay: float = 0.75, **kwargs: Any) -> LayerwiseDecay:
        """Return an optimizer whose learning rate shrinks from the last layer of a model to the first.

        Args:
            inner_optimizer: A new optimizer; its learning rate is that of the last layer.
            model: A built model. Its layers with trainable weights count in the order of `model.layers`; those of a
                model inside it count one by one, any other layer as one. Weights that a subclassed model holds without
                a layer move as its first layer does.
            decay: The learning rate of a layer over that of the next, in (0, 1].
            **kwargs: `name`.

        Returns:
            The optimizer. Freeze what is to be frozen before: layers that do not train do not count.

        Raises:
            ValueError: If `decay` is out of range, the model is not built or has no trainable weights, or weights of
                two layers have the same path, which says what to rename.
        """
        return cls(
            inner_optimizer, _paths.by_depth(model, _checks.share(f"{_OWNER}.from_model", "decay", decay)), **kwargs
        )

    def build(self, variables: Any) -> None:
        """Find the multiplier of each variable, and build the inner optimizer with them.

        Args:
            variables: The variables to train.

        Raises:
            ValueError: If a path among the multipliers fits none of them.
        """
        if self.built:
            return
        inner, variables = self.inner_optimizer, list(variables)
        if inner.built:
            raise ValueError(f"LayerwiseDecay(inner_optimizer={inner.name!r}) is in use: give it a new optimizer.")
        paths = [getattr(variable, "path", variable.name) for variable in variables]
        unmatched = [key for key in self.multipliers if all(_paths.longest_key(path, [key]) is None for path in paths)]
        if unmatched and not self._restored:
            raise ValueError(
                f"LayerwiseDecay(multipliers={{{unmatched[0]!r}: ...}}) fits no variable that trains. Close to it: "
                f"{_paths.close_names(unmatched[0], paths)}. Frozen layers need no multiplier."
            )
        self._unmatched = tuple(unmatched)
        keys = (_paths.longest_key(path, self.multipliers) for path in paths)
        self._factors = tuple(self.default if key is None else self.multipliers[key] for key in keys)
        inner.build(variables)
        inner.update_step = self._update
        inner._apply_weight_decay = self._decay_weights
        inner._get_current_learning_rate = self._current_rate
        super().build(variables)

    def apply(self, grads: Any, trainable_variables: Any = None) -> None:
        """Move the variables against their gradients; the inner optimizer does so.

        Args:
            grads: A gradient for each variable.
            trainable_variables: The variables. Default: those that it was built with.

        Raises:
            ValueError: If the optimizer was loaded without its state, and a path fits no variable any more.
        """
        if not self.built and trainable_variables is not None:
            trainable_variables = list(trainable_variables)
            self.build(trainable_variables)
        if self._unmatched:
            raise ValueError(
                f"LayerwiseDecay was loaded without its state, and the weights have other names now: "
                f"{self._unmatched[0]!r} fits none. Compile the model again, with new paths or from_model."
            )
        self.inner_optimizer.apply(grads, trainable_variables)

    def _update(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        inner = self.inner_optimizer
        own = self._factors[inner._get_variable_index(variable)]
        type(inner).update_step(inner, gradient, variable, learning_rate * own)

    def _decay_weights(self, variables: Any) -> None:
        inner = self.inner_optimizer
        for variable in variables:
            self._decaying = self._factors[inner._get_variable_index(variable)]
            type(inner)._apply_weight_decay(inner, [variable])
        self._decaying = None

    def _current_rate(self) -> Any:
        inner = self.inner_optimizer
        rate = type(inner)._get_current_learning_rate(inner)
        return rate if self._decaying is None else rate * self._decaying

    @property
    def variables(self) -> list[Any]:
        """The variables of the inner optimizer: this one has none of its own."""
        return self.inner_optimizer.variables

    @property
    def iterations(self) -> Any:
        """How many steps the inner optimizer has made."""
        return self.inner_optimizer.iterations

    @property
    def learning_rate(self) -> Any:
        """The learning rate of a layer whose multiplier is 1; assign to it to change all of them."""
        return self.inner_optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        self.inner_optimizer.learning_rate = value

    @property
    def loss_scale_factor(self) -> Any:
        """What the loss is multiplied by before the gradient is taken; `LossScaleOptimizer` sets it to None."""
        return self.inner_optimizer.loss_scale_factor if hasattr(self, "inner_optimizer") else None

    @loss_scale_factor.setter
    def loss_scale_factor(self, value: Any) -> None:
        if hasattr(self, "inner_optimizer"):
            self.inner_optimizer.loss_scale_factor = value

    @property
    def _model_variables_moving_average(self) -> Any:
        return self.inner_optimizer._model_variables_moving_average  # where keras.callbacks.SwapEMAWeights looks

    def finalize_variable_values(self, var_list: Any) -> None:
        """Do what the inner optimizer does at the end of training, such as writing its moving averages.

        Args:
            var_list: The variables.
        """
        self.inner_optimizer.finalize_variable_values(var_list)

    def exclude_from_weight_decay(self, var_list: Any = None, var_names: Any = None) -> None:
        """Let the inner optimizer decay all variables but some.

        Args:
            var_list: The variables to leave out.
            var_names: Patterns of the names of more.
        """
        self.inner_optimizer.exclude_from_weight_decay(var_list, var_names)

    def set_weights(self, weights: Any) -> None:
        """Set the variables of the inner optimizer.

        Args:
            weights: A value for each.
        """
        self.inner_optimizer.set_weights(weights)

    def save_own_variables(self, store: Any) -> None:
        """Write the multipliers by position; Keras saves the inner optimizer beside it.

        Args:
            store: Where to.
        """
        if self.built:
            store["multipliers"] = np.asarray(self._factors)

    def load_own_variables(self, store: Any) -> None:
        """Read the multipliers by position, if this optimizer itself was loaded.

        Args:
            store: Where from.
        """
        if self._restored and "multipliers" in store.keys():  # noqa: SIM118 (it is no dictionary)
            saved = tuple(np.asarray(store["multipliers"]).tolist())
            if len(saved) == len(self._factors):
                self._factors, self._unmatched = saved, ()

    def get_config(self) -> dict[str, Any]:
        """Return what was passed."""
        return {
            "name": self.name,
            "inner_optimizer": keras.saving.serialize_keras_object(self.inner_optimizer),
            "multipliers": dict(self.multipliers),
            "default": self.default,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> LayerwiseDecay:
        """Return the optimizer of a configuration.

        Args:
            config: What `get_config` returned.
            custom_objects: Classes by name, for an inner optimizer that is not registered.
        """
        config = dict(config)
        inner = keras.saving.deserialize_keras_object(config.pop("inner_optimizer"), custom_objects=custom_objects)
        optimizer = cls(inner, **config)
        optimizer._restored = True
        return optimizer


def _check_inner(inner: Any) -> None:
    if not isinstance(inner, keras.optimizers.Optimizer):
        raise ValueError(
            f"LayerwiseDecay(inner_optimizer={inner!r}) needs an optimizer, such as keras.optimizers.Adam()."
        )
    if type(inner).update_step is keras.optimizers.Optimizer.update_step:
        raise ValueError(
            f"LayerwiseDecay(inner_optimizer={type(inner).__name__}) leaves its steps to other optimizers, which would "
            f"not be scaled: wrap each of those, and keep {type(inner).__name__} outermost."
        )
    if keras.backend.backend() not in ("tensorflow", "jax"):
        raise ValueError(f"LayerwiseDecay runs on TensorFlow and JAX, but the backend is {keras.backend.backend()}.")
