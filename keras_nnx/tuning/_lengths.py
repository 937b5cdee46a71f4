"""How many steps an epoch of some data has."""

from __future__ import annotations

import math
import weakref
from typing import Any

import keras

_COUNTED: weakref.WeakKeyDictionary[Any, dict[str, int]] = weakref.WeakKeyDictionary()


def is_endless(x: Any) -> bool:
    """Return whether a data set says that it has no end."""
    return hasattr(x, "cardinality") and int(x.cardinality()) == -1


def batched_anew(x: Any, size: int) -> Any:
    """Return a data set in batches of another size, whose number Keras would not know.

    Args:
        x: A `tf.data.Dataset` of batches.
        size: Examples in a batch.
    """
    batches = x.unbatch().batch(size)
    return batches if is_endless(x) else _of_length(batches, math.ceil(_counted(x, "examples", x.unbatch()) / size))


def counted(x: Any) -> Any:
    """Return the same data, which know how many batches they are, unless they have no end.

    Args:
        x: As in `keras.Model.fit`.
    """
    unknown = hasattr(x, "element_spec") and int(x.cardinality()) < 0 and not is_endless(x)
    return _of_length(x, _counted(x, "batches", x)) if unknown else x


def steps(x: Any, arguments: dict[str, Any]) -> int:
    """Return the steps of an epoch.

    Args:
        x: As in `keras.Model.fit`, counted.
        arguments: The other arguments of `fit`.

    Raises:
        ValueError: If the data have no end, and the steps are not given.
    """
    if arguments.get("steps_per_epoch"):
        return int(arguments["steps_per_epoch"])
    if is_endless(x):
        raise ValueError("The data have no end, and a schedule needs to know how long it lasts: give steps_per_epoch=.")
    if hasattr(x, "cardinality"):
        return int(x.cardinality())
    if isinstance(x, keras.utils.PyDataset):
        return len(x)
    share = 1 - (arguments.get("validation_split") or 0)
    length = len(keras.tree.flatten(x)[0])
    return math.ceil(math.floor(length * share) / (arguments.get("batch_size") or 32))


def _of_length(x: Any, count: int) -> Any:
    import tensorflow as tf

    return x.apply(tf.data.experimental.assert_cardinality(count))


def _counted(x: Any, what: str, elements: Any) -> int:
    """Return how many elements a data set has, which is found out once, since all of it has to be gone through."""
    import tensorflow as tf

    known = _COUNTED.setdefault(x, {})
    if what not in known:
        known[what] = int(elements.reduce(tf.constant(0, tf.int64), lambda count, _: count + 1))
    return known[what]
