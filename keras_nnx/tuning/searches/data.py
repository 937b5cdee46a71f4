"""What trials are trained and judged on."""

from __future__ import annotations

import dataclasses
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_nnx.tuning._lengths import is_endless
from keras_nnx.tuning.searches.objectives import Quantity

_VALIDATION_SHARE = 0.2


@dataclasses.dataclass(frozen=True)
class SearchData:
    """The data of a search.

    Args:
        train: What `keras.Model.fit` takes: a data set, or a tuple of inputs and targets.
        validation: As `train`; its scores are the `val_` metrics.
        inputs: Some or all validation inputs as the exported model takes them, by the name of its input or in a dict
            by all names: what artifacts are timed and tested on.
        targets: What belongs to `inputs`; of several outputs, a dict by their names.
        input_shape: Of one example.
        classes: How many there are; None where there are none.
        deployable: Makes of a trained model the one that is exported, with what prepares its inputs inside.
        calibration: Inputs of training examples as the exported model takes them, for int8.
        labels: The names of the classes.
    """

    train: Any
    validation: Any
    inputs: Any
    targets: Any
    input_shape: tuple[int, ...]
    classes: int | None = None
    deployable: Callable[[keras.Model], keras.Model] = lambda model: model
    calibration: Any = None
    labels: tuple[str, ...] = ()


def arrays(train: tuple[Any, Any], validation: tuple[Any, Any] | None = None, seed: int = 0) -> SearchData:
    """Return the data of a search in arrays.

    Args:
        train: Inputs and targets; either may be a dictionary by the names of the model's inputs, or outputs.
        validation: Inputs and targets. Default: a fifth of `train`, drawn by the seed.
        seed: Of the split.

    Raises:
        ValueError: If inputs and targets are not equally many, are too few to be split, or hold what is no number.
    """
    _check_pair("training", train)
    if validation is None:
        count = len(keras.tree.flatten(train[1])[0])
        if count < 2:
            raise ValueError(f"There is {count} example: give validation data, or more examples to split.")
        order = np.random.default_rng(seed).permutation(count)
        cut = max(1, round(_VALIDATION_SHARE * count))
        train, validation = _rows(train, order[cut:]), _rows(train, order[:cut])
    _check_pair("validation", validation)
    first, several = keras.tree.flatten(train[0])[0], isinstance(train[1], Mapping)
    return SearchData(
        train=train,
        validation=validation,
        inputs=validation[0],
        targets=validation[1] if several else np.asarray(validation[1]),
        input_shape=tuple(first.shape[1:]),
        classes=None if several else _classes(np.asarray(train[1])),
        calibration=keras.tree.map_structure(lambda value: value[:256], train[0]),
    )


def from_pipelines(name: str, seed: int, batch_size: int = 64) -> SearchData:
    """Return a data set of `keras_nnx.data`, whose model takes pixels of 0 to 255.

    Args:
        name: As in `keras_nnx.data.load`; nothing is downloaded.
        seed: Of order and augmentation.
        batch_size: Examples in a batch.

    Raises:
        DataError: If there is no such data set here.
    """
    from keras_nnx import data

    loaded = data.load(name, augment="affine", seed=seed, batch_size=batch_size, download=False)
    pixels, targets = zip(*((np.asarray(x), np.asarray(y)) for x, y in loaded.raw("validation")), strict=True)

    def deployable(model: keras.Model) -> keras.Model:
        image = keras.Input(loaded.info.image_shape, name="image")
        scores = keras.layers.Identity(name="scores")(model(loaded.normalization()(image)))
        return keras.Model(image, scores, name=f"{loaded.info.name.replace('/', '_')}_{model.name}")

    return SearchData(
        train=loaded.train,
        validation=loaded.validation,
        inputs=np.concatenate(pixels),
        targets=np.concatenate(targets),
        input_shape=loaded.info.image_shape,
        classes=loaded.info.num_classes,
        deployable=deployable,
        calibration=loaded.raw("train").take(6),
        labels=loaded.info.labels,
    )


def from_file(path: Path, seed: int) -> SearchData:
    """Return the data in an .npz file: `x_train`, `y_train`, `x_val`, `y_val`, or `x` and `y`, which are split.

    Args:
        path: The file.
        seed: Of the split.

    Raises:
        ValueError: If it is no such file.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            found = {name: archive[name] for name in archive.files}
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is no .npz file of plain arrays.") from error
    if {"x_train", "y_train", "x_val", "y_val"} <= set(found):
        return arrays((found["x_train"], found["y_train"]), (found["x_val"], found["y_val"]), seed)
    if {"x", "y"} <= set(found):
        return arrays((found["x"], found["y"]), None, seed)
    raise ValueError(
        f"{path} has the arrays {', '.join(found) or 'none'}: it needs x and y, or x_train, y_train, x_val and y_val."
    )


def check_data(data: SearchData, quantities: Sequence[Quantity]) -> None:
    """Raise unless the data have what is needed to measure what is asked for.

    Args:
        data: Of a search.
        quantities: What is asked for.

    Raises:
        ValueError: If int8 has nothing to be calibrated by, an accuracy is asked for without classes, or the data
            have no end.
    """
    for name, part in (("training", data.train), ("validation", data.validation)):
        if is_endless(part):
            raise ValueError(f"The {name} data have no end: say how much of them an epoch is, such as .take(100).")
    artifacts = [entry for entry in quantities if entry.kind == "artifact"]
    low = next((entry.name for entry in artifacts if entry.precision == "int8"), None)
    if low is not None and data.calibration is None:
        raise ValueError(f"{low} needs examples to calibrate int8 by: give SearchData(calibration=).")
    share = next((entry.name for entry in artifacts if entry.measure == "accuracy"), None)
    if share is not None and (isinstance(data.targets, Mapping) or not _are_classes(np.asarray(data.targets))):
        raise ValueError(f"{share} is a share of right classes, and the targets are none: neither numbers nor one-hot.")


def _are_classes(targets: np.ndarray) -> bool:
    whole = bool(np.all(targets == np.round(targets)))
    scored = targets.ndim > 1 and targets.shape[-1] > 1 and np.issubdtype(targets.dtype, np.floating)
    return whole and (not scored or bool(np.all(targets.sum(-1) == 1)))


def _classes(targets: np.ndarray) -> int | None:
    if targets.ndim == 1 and np.issubdtype(targets.dtype, np.integer):
        return int(targets.max()) + 1
    return targets.shape[-1] if targets.ndim > 1 else None


def _check_pair(name: str, pair: tuple[Any, Any]) -> None:
    parts = [value for part in pair for value in (part.values() if isinstance(part, Mapping) else [part])]
    if len(pair) != 2 or not all(len(getattr(value, "shape", ())) for value in parts):
        raise ValueError(
            f"The {name} data have to be inputs and targets, each an array, or a dictionary of arrays by the names of "
            f"the model's inputs or outputs; of lists, np.asarray makes one."
        )
    lengths = {len(value) for value in parts}
    if len(lengths) != 1 or 0 in lengths:
        raise ValueError(f"The {name} data have {sorted(lengths)} examples: inputs and targets have to be as many.")
    for value in parts:
        array = np.asarray(value)
        broken = np.issubdtype(array.dtype, np.inexact) and not np.isfinite(array).all()
        if broken:
            raise ValueError(f"The {name} data hold {_first_broken(array)}: leave such examples out, or fill them in.")


def _first_broken(array: np.ndarray) -> str:
    place = np.argwhere(~np.isfinite(array))[0]
    return f"{array[tuple(place)]} in example {place[0]}"


def _rows(pair: tuple[Any, Any], rows: np.ndarray) -> tuple[Any, Any]:
    inputs, targets = (keras.tree.map_structure(lambda value: np.asarray(value)[rows], part) for part in pair)
    return inputs, targets
