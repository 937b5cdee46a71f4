"""Lowering by layer: another way to compute a layer, used only while the graph is traced."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_nnx.export.lowering.targets import LAYER_TARGETS, TARGETS, check_targets

LayerLowering = Callable[..., Any]

HALVES = ("float16", "bfloat16")

_REGISTRY: dict[tuple[type, str], LayerLowering] = {}


def register_lowering(
    layer_class: type[keras.layers.Layer], targets: Sequence[str] = TARGETS
) -> Callable[[LayerLowering], LayerLowering]:
    """Teach the engine another way to compute a layer.

    The function replaces the layer's `call` while a graph for one of `targets` is traced, and only then. It is
    used for exactly this class, not for classes derived from it, whose `call` may differ.

    Args:
        layer_class: The layer to lower.
        targets: Any of `"saved_model"`, `"onnx"` and `"tflite"`.

    Returns:
        A decorator for a function `(layer, inputs, **call_arguments) -> outputs`.

    Raises:
        ValueError: If a target is unknown.

    Example:
        >>> import keras
        >>> import keras_nnx as nnx
        >>> @keras.saving.register_keras_serializable(package="example")
        ... class Double(keras.layers.Layer):
        ...     def call(self, inputs):
        ...         return inputs * 2
        >>> @nnx.export.register_lowering(Double, targets=("tflite",))
        ... def lower_double(layer, inputs):
        ...     return inputs + inputs
    """
    check_targets("register_lowering", targets, LAYER_TARGETS)

    def register(function: LayerLowering) -> LayerLowering:
        for target in targets:
            _REGISTRY[layer_class, target] = function
        return function

    return register


@contextlib.contextmanager
def lowered_layers(model: keras.Model, target: str) -> Iterator[list[str]]:
    """Make every layer of `model` that has a lowering for `target` use it, until the block is left.

    Yields:
        A list that gets a line for each layer whose lowering fails: its path and the reason.
    """
    failed: list[str] = []

    def lowered(layer: keras.layers.Layer) -> Any | None:
        lowering = _REGISTRY.get((type(layer), target))
        return None if lowering is None else functools.partial(_watched, failed, lowering, layer)

    with replaced_calls(model._flatten_layers(), lowered):
        yield failed


@contextlib.contextmanager
def replaced_calls(
    layers: Iterable[keras.layers.Layer], replacement: Callable[[keras.layers.Layer], Any | None]
) -> Iterator[None]:
    """Give layers another `call`, where `replacement` returns one, until the block is left."""
    replaced: list[tuple[keras.layers.Layer, Any]] = []
    try:
        for layer in layers:
            call = replacement(layer)
            if call is not None:
                replaced.append((layer, vars(layer).get("call")))
                object.__setattr__(layer, "call", call)
        yield
    finally:
        for layer, before in replaced:
            if before is None:
                object.__delattr__(layer, "call")
            else:
                object.__setattr__(layer, "call", before)


def _watched(failed: list[str], lowering: LayerLowering, layer: keras.layers.Layer, *inputs: Any, **more: Any) -> Any:
    """Lower the layer while a graph is traced; run step by step, it is itself: that is what the proof compares with."""
    if tf.executing_eagerly():
        return type(layer).call(layer, *inputs, **more)
    try:
        return lowering(layer, *inputs, **more)
    except Exception as error:
        failed.append(f"{layer.path!r} failed: {type(error).__name__}: {error}")
        raise


def float32_compute(model: keras.Model) -> contextlib.AbstractContextManager[None]:
    """Make every layer of `model` compute in float32, whatever policy it was trained under."""
    return _compute_in("float32", HALVES, model)


def float64_compute(model: keras.Model) -> contextlib.AbstractContextManager[None]:
    """Make every layer of `model` compute in float64, to tell what rounding does to its answers."""
    return _compute_in("float64", (*HALVES, "float32"), model)


@contextlib.contextmanager
def _compute_in(dtype: str, others: Sequence[str], model: keras.Model) -> Iterator[None]:
    # Weights stay as they are, and are cast where they are read; of a mere "float64" Keras would not expect that.
    wanted = keras.DTypePolicy("float32")
    wanted._compute_dtype = dtype
    changed: list[tuple[Any, str, Any]] = []
    try:
        for layer in _computing(model):
            policy = layer.dtype_policy
            if policy.compute_dtype in others:
                layer.dtype_policy = wanted
                changed.append((layer, "dtype_policy", policy))
            for declared in _declared_inputs(layer):
                if declared.dtype in others:
                    changed.append((declared, "_dtype", declared.dtype))
                    declared._dtype = dtype
        yield
    finally:
        for owner, name, before in changed:
            setattr(owner, name, before)


def _computing(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """Yield all layers, and the functional models that sequential ones keep beside their layers."""
    for layer in model._flatten_layers():
        yield layer
        inner = getattr(layer, "_functional", None)
        if isinstance(inner, keras.Model):
            yield inner


def _declared_inputs(layer: keras.layers.Layer) -> Iterator[Any]:
    """Yield what a functional or sequential model casts its inputs to.

    A sequential model without an input layer declares the dtype in which its first layer computes.
    """
    if isinstance(layer, keras.layers.InputLayer):
        yield layer
    yield from getattr(layer, "_inputs", None) or ()
