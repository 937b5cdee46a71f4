"""Batches that show the engine what real inputs look like."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from keras_nnx.export.errors import CalibrationError
from keras_nnx.export.signature import Signature, TensorSignature

MOST_EXAMPLES = 512


def read_calibration(calibration: Any, signature: Signature) -> dict[str, np.ndarray] | None:
    """Return calibration batches as one array for each input, at most `MOST_EXAMPLES` long; None stays None.

    Args:
        calibration: An array, a dict or list of arrays (one an input), or an iterable of batches of these, such as a
            `tf.data.Dataset`; of pairs, the first entry is taken.
        signature: The inputs that the batches have to fit.

    Raises:
        CalibrationError: If there is no example, or one does not fit the signature.
    """
    if calibration is None:
        return None
    rows: dict[str, list[np.ndarray]] = {spec.name: [] for spec in signature.inputs}
    count = 0
    for batch in _batches(calibration, signature):
        for spec, value in zip(signature.inputs, _named(batch, signature), strict=True):
            rows[spec.name].append(_fitted(value, spec))
        count += len(rows[signature.inputs[0].name][-1])
        if count >= MOST_EXAMPLES:
            break
    if count == 0:
        raise CalibrationError("The calibration holds no example: pass at least one batch of real inputs.")
    fixed = signature.inputs[0].shape[0]
    if isinstance(fixed, int) and count < fixed:
        raise CalibrationError(f"The model takes batches of {fixed}, but the calibration holds {count} examples.")
    try:
        return {name: np.concatenate(values)[:MOST_EXAMPLES] for name, values in rows.items()}
    except ValueError as error:
        raise CalibrationError(f"The calibration batches do not fit together: {error}.") from error


def _batches(calibration: Any, signature: Signature) -> Iterable[Any]:
    if isinstance(calibration, dict) or _is_array(calibration):
        return [calibration]
    if isinstance(calibration, list | tuple) and len(calibration) == len(signature.inputs):
        ranks = [np.ndim(value) for value in calibration if _is_array(value)]
        if ranks == [len(spec.shape) for spec in signature.inputs] and len(signature.inputs) > 1:
            return [calibration]
    if not isinstance(calibration, Iterable):
        raise CalibrationError(f"calibration={calibration!r} is no array and no iterable of batches.")
    return calibration


def _is_array(value: Any) -> bool:
    """Whether `value` is an array or a tensor of any library, and no structure of them."""
    return hasattr(value, "shape") and hasattr(value, "dtype")


def _named(batch: Any, signature: Signature) -> list[Any]:
    """Return the values of a batch in the order of the inputs."""
    names = [spec.name for spec in signature.inputs]
    if isinstance(batch, tuple) and not (len(batch) == len(names) > 1 and all(map(_is_array, batch))):
        batch = batch[0] if batch else batch  # inputs and labels
    if isinstance(batch, dict):
        missing = [name for name in names if name not in batch]
        if missing:
            raise CalibrationError(f"A calibration batch has no {missing[0]!r}: it has {sorted(map(str, batch))}.")
        return [batch[name] for name in names]
    values = list(batch) if isinstance(batch, list | tuple) else [batch]
    if len(values) != len(names):
        raise CalibrationError(
            f"A calibration batch has {len(values)} inputs, but the model has {len(names)}: {names}."
        )
    return values


def _fitted(value: Any, spec: TensorSignature) -> np.ndarray:
    array = np.asarray(value)
    if array.dtype != np.dtype(spec.dtype) and not np.can_cast(array.dtype, spec.dtype, "same_kind"):
        raise CalibrationError(f"The calibration for {spec} has the dtype {array.dtype}.")
    sizes = zip(array.shape[1:], spec.shape[1:], strict=False)
    if array.ndim != len(spec.shape) or any(not isinstance(size, str) and got != size for got, size in sizes):
        raise CalibrationError(f"The calibration for {spec} has the shape {list(array.shape)}.")
    array = array.astype(spec.dtype)
    if np.issubdtype(array.dtype, np.floating) and not np.isfinite(array).all():
        raise CalibrationError(f"The calibration for {spec} holds values that are not finite.")
    return array
