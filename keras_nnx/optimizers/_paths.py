"""Which multiplier a variable has: by its path, and by the depth of its layer."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import keras


def factor(owner: str, name: str, value: Any) -> float:
    """Return `value` if it is a finite number of at least 0, or say which argument is wrong."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise ValueError(f"{owner}({name}={value!r}) needs a finite number of at least 0.")
    return value


def factors(owner: str, name: str, values: Any) -> dict[str, float]:
    """Return `values` if they are finite numbers of at least 0 by path, or say what is wrong."""
    if not isinstance(values, Mapping):
        raise ValueError(f"{owner}({name}={values!r}) needs a dictionary from paths to numbers.")
    for key, value in values.items():
        if not isinstance(key, str) or not key or key != key.strip("/"):
            raise ValueError(f"{owner}({name}={{{key!r}: {value!r}}}) needs paths such as 'encoder/dense' for keys.")
        factor(owner, f"{name}[{key!r}]", value)
    return dict(values)


def longest_key(path: str, keys: Iterable[str]) -> str | None:
    """Return the longest key that is the path, or its start up to a "/"; None if there is none."""
    return max((key for key in keys if f"{path}/".startswith(f"{key}/")), key=len, default=None)


def close_names(name: str, paths: Iterable[str]) -> str:
    """Return the paths, and starts of paths, that look most like `name`, as the end of a sentence."""
    parts = [path.split("/") for path in paths]
    known = {"/".join(names[:count]) for names in parts for count in range(1, len(names) + 1)}
    close = difflib.get_close_matches(name, sorted(known), n=3) or sorted({names[0] for names in parts})
    return ", ".join(map(repr, close))


def by_depth(model: Any, decay: float) -> dict[str, float]:
    """Return a multiplier for each layer of a model: 1 for the last, and `decay` times the next one's for the others.

    Args:
        model: A built model.
        decay: The ratio of one layer to the next.

    Returns:
        The multipliers, from the first layer to the last, by path.

    Raises:
        ValueError: If the model has no trainable weights, or weights of two layers have the same path.
    """
    groups = _groups(model)
    rates = [decay**depth for depth in reversed(range(len(groups)))]
    multipliers: dict[str, float] = {}
    places: dict[str, str] = {}
    for (place, keys, _), rate in zip(groups, rates, strict=True):
        multipliers.update(dict.fromkeys(keys, rate))
        places.update(dict.fromkeys(keys, place))
    for (place, _, variables), rate in zip(groups, rates, strict=True):
        for variable in variables:
            key = longest_key(variable.path, multipliers)
            if key is not None and multipliers[key] != rate:
                raise ValueError(
                    f"LayerwiseDecay.from_model cannot tell weights of the layers {place!r} and {places[key]!r} apart, "
                    f"whose paths both begin with {key!r}: give one of the layers another name."
                )
    return multipliers


def _groups(model: Any) -> list[tuple[str, list[str], list[Any]]]:
    """Return where each layer with trainable weights is, the keys that cover these, and the weights."""
    seen: set[int] = set()
    groups = []
    for place, layer in _layers(model, ""):
        variables = [variable for variable in layer.trainable_variables if id(variable) not in seen]
        seen.update(map(id, variables))
        if variables:
            inside = all(variable.path.startswith(f"{layer.path}/") for variable in variables)
            groups.append((place, [layer.path] if inside else [v.path for v in variables], variables))
    if not groups:
        raise ValueError(
            f"LayerwiseDecay.from_model found no layer with trainable weights in {model.name!r}: build the model "
            f"first, and leave a layer trainable."
        )
    place, keys, variables = groups[0]
    loose = [variable for variable in model.trainable_variables if id(variable) not in seen]
    groups[0] = place, [*keys, *(variable.path for variable in loose)], [*variables, *loose]
    return groups


def _layers(model: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    """Yield the layers of a model, those of a model among them one by one, each with the names that lead to it."""
    for layer in model.layers:
        place = prefix + layer.name
        if isinstance(layer, keras.Model):
            yield from _layers(layer, f"{place}/")
        else:
            yield place, layer
