"""What a model remembers of its inputs from being built or called, where nobody declared them."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np

from keras_nnx.export.lowering.layers import HALVES, float32_compute

_MOST_MIXED = 4


def recorded_inputs(model: keras.Model) -> Any | None:
    """Return the inputs that a subclassed model was built for or called on, as it takes them, or None.

    Keras records the shapes, but neither which sizes may change nor the dtypes. The first dimension is taken as the
    batch, of any size, unless the model works only on the recorded one. An input is of integers if the model works on
    nothing else, or turns it into integers before it does anything with it, as an embedding does.
    """
    shapes = getattr(model, "_build_shapes_dict", None)
    if not shapes:
        return None
    arguments = {name.removesuffix("_shape"): _plain(value) for name, value in shapes.items()}
    recorded = next(iter(arguments.values())) if len(arguments) == 1 else arguments
    by_name = len(arguments) > 1
    _build_rest(model, recorded, by_name)
    for flexible in (True, False):
        structure = _tensors(recorded, flexible, "float32")
        for dtypes in _dtypes(len(keras.tree.flatten(structure))):
            typed = _retyped(structure, dtypes)
            traced = _traced(model, typed, by_name)
            if traced is not None:
                return _with_integers(typed, traced)
    # The caller meets what the model raises.
    return _tensors(recorded, True, "float32")


def inputs_of_sequential(model: keras.Sequential, inputs: Any) -> Any:
    """Return the inputs of a sequential model without what only a call on data has fixed.

    A model without an input layer gets one at its first call, with the batch size of that call and the dtype in which
    its first layer computes. The batch may have any size, unless the model works only on the recorded one; a half
    precision becomes float32.
    """
    tensor = keras.tree.flatten(inputs)[0]
    declared = getattr(model._layers[0], "_auto_config", None)
    if declared is not None and declared.config.get("dtype") is None:  # Keras itself always gives one
        return inputs
    dtype = "float32" if tensor.dtype in HALVES else tensor.dtype
    flexible = keras.KerasTensor((None, *tensor.shape[1:]), dtype, name=tensor.name)
    if _traced(model, flexible, by_name=False) is not None:
        return flexible
    return keras.KerasTensor(tensor.shape, dtype, name=tensor.name)


def _build_rest(model: keras.Model, shapes: Any, by_name: bool) -> None:
    """Call the model once if it has layers that are not built, which a trace would leave without values.

    Keras calls a model built whose `build` could not build the layers inside, as where its call chooses by values.
    """
    if all(layer.built for layer in model._flatten_layers()):
        return
    structure = _tensors(shapes, False, "float32")
    for dtypes in _dtypes(len(keras.tree.flatten(structure))):
        typed = _retyped(structure, dtypes)
        zeros = keras.tree.map_structure(
            lambda tensor: np.zeros([size or 1 for size in tensor.shape], tensor.dtype), typed
        )
        with contextlib.suppress(Exception):  # a model may raise anything, and the caller meets it
            model(**zeros, training=False) if by_name else model(zeros, training=False)
            return


def _plain(value: Any) -> Any:
    """Return a recorded structure with shapes as tuples, and without the wrappers in which Keras keeps it."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if _is_shape(value):
        return tuple(value)
    return [_plain(item) for item in value]


def _is_shape(value: Any) -> bool:
    return isinstance(value, Sequence) and all(size is None or isinstance(size, int) for size in value)


def _tensors(shapes: Any, flexible: bool, dtype: str) -> Any:
    if isinstance(shapes, dict):
        return {key: _tensors(item, flexible, dtype) for key, item in shapes.items()}
    if isinstance(shapes, list):
        return [_tensors(item, flexible, dtype) for item in shapes]
    return keras.KerasTensor((None, *shapes[1:]) if flexible and shapes else shapes, dtype)


def _dtypes(count: int) -> Iterator[tuple[str, ...]]:
    """Yield dtypes for `count` inputs, the fewest integers first; of many inputs, all or none."""
    if count > _MOST_MIXED:
        yield from (("float32",) * count, ("int32",) * count)
    else:
        mixed = itertools.product(("float32", "int32"), repeat=count)
        yield from sorted(mixed, key=lambda dtypes: dtypes.count("int32"))


def _retyped(structure: Any, dtypes: Sequence[str]) -> Any:
    flat = keras.tree.flatten(structure)
    typed = [keras.KerasTensor(tensor.shape, dtype) for tensor, dtype in zip(flat, dtypes, strict=True)]
    return keras.tree.pack_sequence_as(structure, typed)


def _traced(model: keras.Model, structure: Any, by_name: bool) -> Any | None:
    """Return the model's graph for such inputs, or None if it does not take them."""
    import tensorflow as tf

    def call(tensors: list[Any]) -> Any:
        packed = keras.tree.pack_sequence_as(structure, tensors)
        return model(**packed, training=False) if by_name else model(packed, training=False)

    specifications = [tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in keras.tree.flatten(structure)]
    with float32_compute(model):
        try:
            return tf.function(call, autograph=False).get_concrete_function(specifications)
        except Exception:  # noqa: BLE001  (a model may raise anything)
            return None


def _with_integers(structure: Any, traced: Any) -> Any:
    """Return `structure` with int32 for the inputs of which the model uses nothing but the integer part."""
    flat = keras.tree.flatten(structure)
    arguments = traced.inputs[: len(flat)]
    found = ["int32" if _is_index(argument) else tensor.dtype for tensor, argument in zip(flat, arguments, strict=True)]
    return _retyped(structure, found)


def _is_index(tensor: Any) -> bool:
    """Whether a tensor is cast to integers wherever it is used, or compared with a whole number, as a mask is made."""
    users = list(_users(tensor))
    casts = [user for user in users if user.type == "Cast" and user.outputs[0].dtype.is_integer]
    compared = [user for user in users if user.type in ("NotEqual", "Equal") and _with_whole_number(user)]
    return bool(casts) and len(casts) + len(compared) == len(users)


def _with_whole_number(comparison: Any) -> bool:
    import tensorflow as tf

    values = [tf.get_static_value(tensor) for tensor in comparison.inputs]
    return any(value is not None and bool((value == np.round(value)).all()) for value in values)


def _users(tensor: Any) -> Iterator[Any]:
    for user in tensor.consumers():
        if user.type == "Identity":
            yield from _users(user.outputs[0])
        else:
            yield user
