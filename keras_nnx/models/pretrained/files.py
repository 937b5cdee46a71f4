"""Models whose weights are in a file."""

from __future__ import annotations

import os
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
        return keras.saving.load_model(path, compile=False)
    if path.suffix != ".h5" or not h5py.is_hdf5(path):
        raise MismatchError(f"{path.name!r} is no file of weights: give one that ends in .keras, .weights.h5 or .h5.")
    channels = model.inputs[0].shape[-1]
    shape = tuple(model.inputs[0].shape[1:])
    arguments = {"input_shape": shape if family.NAME == "ViT" else (_SIDE, _SIDE, channels)}
    failures = []
    for more in _heads(path, model, family):
        try:
            source = family.from_file(model, **arguments, **more)
            if source is None:
                raise MismatchError(
                    f"{model.name!r} is none of the published sizes of {family.NAME}, of which files are."
                )
            source.load_weights(path)
        except MismatchError:
            raise
        except (ValueError, KeyError) as error:  # the file is of a network with another end, or of another network
            failures.append(" ".join(str(error).split())[:300])
            continue
        return source
    raise MismatchError(f"{path.name!r} holds the weights of another network than {model.name!r}: {failures[-1]}")


def _heads(path: Path, model: keras.Model, family: Any) -> list[dict[str, Any]]:
    """Return what the end of the network may be: a classifier as wide as a matrix in the file, or none."""
    if family.NAME == "ViT":
        return [{}]
    own = next((layer for layer in model.layers if layer.name == "logits"), None)
    features = model.output.shape[-1] if own is None else own.input.shape[-1]
    widths: set[int] = set()

    def look(_: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and len(item.shape) == 2 and item.shape[0] == features:
            widths.add(int(item.shape[1]))

    with h5py.File(path, "r") as file:
        file.visititems(look)
    return [*({"include_top": True, "classes": width} for width in sorted(widths)), {"include_top": False}]
