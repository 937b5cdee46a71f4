"""Models whose weights are in a file."""

from __future__ import annotations

import os
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import h5py  # type: ignore[import-untyped]
import keras

from keras_nnx.models.pretrained.plan import MismatchError

_SIDE = 64  # every stage halves it evenly, as it does the published 224


def read_source(model: keras.Model, family: Any, file: str | os.PathLike[str]) -> keras.Model:
    """Return the model that a file holds, or one of the family with the weights that it holds.

    Args:
        model: The model that is to receive the weights; it says which network the file has to be of.
        family: What knows the networks.
        file: A whole model, `.keras`, or weights, `.weights.h5` or `.h5`.

    Raises:
        FileNotFoundError: If there is no such file.
        MismatchError: If it is of another kind, or holds the weights of another network.
    """
    path = Path(file)
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {str(path)!r} to load weights from.")
    if path.suffix == ".keras":
        try:
            return keras.saving.load_model(path, compile=False)
        except (ValueError, OSError, zipfile.BadZipFile) as error:
            raise MismatchError(f"{path.name!r} cannot be loaded as a model: {_brief(error)}") from error
    if path.suffix != ".h5" or not h5py.is_hdf5(path):
        raise MismatchError(f"{path.name!r} is no file of weights: give one that ends in .keras, .weights.h5 or .h5.")
    try:
        found = _arrays(path)
    except OSError as error:
        raise MismatchError(f"{path.name!r} is damaged, or was not written to its end: {_brief(error)}") from error
    return _with_weights(model, family, path, found)


def _with_weights(model: keras.Model, family: Any, path: Path, found: dict[str, tuple[int, ...]]) -> keras.Model:
    """Return the network of the family that all weights of a file go into."""
    channels = model.inputs[0].shape[-1]
    arguments = {"input_shape": (_SIDE, _SIDE, channels)}
    failures = []
    for more in _heads(found, model, family):
        try:
            source = family.from_file(model, **{**arguments, **more})
            if source is None:
                raise MismatchError(
                    f"{model.name!r} is none of the published sizes of {family.NAME}, of which files are."
                )
            source.load_weights(path)
        except MismatchError:
            raise
        except (ValueError, KeyError) as error:  # the file is of a network with another end, or of another network
            failures.append(_brief(error))
            continue
        left = _left_over(source, found)
        if left is None:
            if hasattr(family, "mend"):
                family.mend(source)
            return source
        failures.append(f"the file has {left}, too")
    raise MismatchError(f"{path.name!r} holds the weights of another network than {model.name!r}: {failures[-1]}")


def _heads(found: dict[str, tuple[int, ...]], model: keras.Model, family: Any) -> list[dict[str, Any]]:
    """Return what the network may be: with a classifier as wide as a matrix in the file, or without."""
    if family.NAME == "ViT":
        return [{"input_shape": shape} for shape in family.image_shapes(model, found)]
    own = next((layer for layer in model.layers if layer.name == "logits"), None)
    features = model.output.shape[-1] if own is None else own.input.shape[-1]
    widths = sorted({shape[1] for shape in found.values() if len(shape) == 2 and shape[0] == features})
    return [*({"include_top": True, "classes": width} for width in widths), {"include_top": False}]


def _arrays(path: Path) -> dict[str, tuple[int, ...]]:
    """Return the shape of every array in a file of weights, but for those of an optimizer."""
    shapes: dict[str, tuple[int, ...]] = {}

    def look(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and not name.startswith("optimizer"):
            shapes[name] = tuple(item.shape)

    with h5py.File(path, "r") as file:
        file.visititems(look)
    return shapes


def _left_over(source: keras.Model, found: dict[str, tuple[int, ...]]) -> str | None:
    """Return an array of the file that the network has no place for: Keras loads what fits and says nothing."""
    if not any("/vars/" in name for name in found):
        return None  # the older format, in which Keras compares the number of layers
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "network.weights.h5"
        source.save_weights(path)
        known = _arrays(path)
    return next((name for name in found if name not in known), None)


def _brief(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
