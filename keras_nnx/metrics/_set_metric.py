"""What all metrics of sets share: two sets of features, a state, and copies."""

from __future__ import annotations

import copy
from typing import Any, Self

import numpy as np

from keras_nnx.metrics import _features
from keras_nnx.metrics._moments import Moments
from keras_nnx.metrics._reservoir import Reservoir

_SETS = ("real", "generated")


class SetMetric:
    """A metric of generated images beside real ones, both given in batches of any sizes.

    Subclasses have `result`, and pass what is kept of each set to `__init__`.
    """

    def __init__(self, extractor: Any, real: Moments | Reservoir, generated: Moments | Reservoir) -> None:
        self.extractor = _features.extractor(type(self).__name__, extractor)
        self._sets: dict[str, Any] = dict(zip(_SETS, (real, generated), strict=True))
        self._known: Any = None  # what was computed from the sets as they are

    @property
    def real_count(self) -> int:
        """How many real images there were."""
        return self._sets["real"].count

    @property
    def generated_count(self) -> int:
        """How many generated images there were."""
        return self._sets["generated"].count

    def update_real(self, images: Any) -> None:
        """Take real images in.

        Args:
            images: A batch of any size, `(b, ...)`, as the extractor takes it.

        Raises:
            ValueError: If the features are not finite, or not as many as those of the images before.
        """
        self._update("real", images)

    def update_generated(self, images: Any) -> None:
        """Take generated images in.

        Args:
            images: A batch of any size, `(b, ...)`, as the extractor takes it.

        Raises:
            ValueError: If the features are not finite, or not as many as those of the images before.
        """
        self._update("generated", images)

    def _update(self, name: str, images: Any) -> None:
        owner = f"{type(self).__name__}.update_{name}"
        rows = _features.extracted(owner, self.extractor, images)
        if not len(rows):
            return
        for other, known in self._sets.items():
            if known.count and known.size != rows.shape[1]:
                raise ValueError(
                    f"{owner} received {rows.shape[1]} features for each image, but the {other} images before have "
                    f"{known.size}: use images of one size, and an extractor that always answers alike."
                )
        self._sets[name].add(rows)
        self._known = None

    def reset_generated(self) -> None:
        """Forget the generated images, and keep the real ones."""
        self._sets["generated"].clear()
        self._known = None

    def reset(self) -> None:
        """Forget all images."""
        self._sets["real"].clear()
        self.reset_generated()

    def get_state(self) -> dict[str, Any]:
        """Return what the metric knows of the images so far: numbers and arrays, such as `np.savez` takes."""
        return {
            f"{name}_{part}": copy.deepcopy(getattr(known, part))
            for name, known in self._sets.items()
            for part in known.parts
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from a state.

        Args:
            state: What `get_state` returned.

        Raises:
            ValueError: If it is the state of something else; then the metric is as it was.
        """
        owner = f"{type(self).__name__}.set_state"
        expected = {f"{name}_{part}" for name, known in self._sets.items() for part in known.parts}
        if set(state) != expected:
            raise ValueError(
                f"{owner} expects the entries {sorted(expected)}, but received {sorted(state)}: give it what get_state "
                f"of the same class returned."
            )
        sets = {name: copy.copy(known) for name, known in self._sets.items()}
        for name, known in sets.items():
            try:
                known.load(**{part: state[f"{name}_{part}"] for part in known.parts})
            except ValueError as error:
                raise ValueError(
                    f"{owner} received {name} images that do not fit: {error}. Give it what get_state of a metric with "
                    f"the same arguments returned."
                ) from None
        real, generated = sets.values()
        if real.count and generated.count and real.size != generated.size:
            raise ValueError(
                f"{owner} received {real.size} features of real images and {generated.size} of generated ones: give it "
                f"what get_state returned."
            )
        self._sets, self._known = sets, None

    def _require(self, least: int, reason: str) -> None:
        """Raise if one of the sets has less than the least number of images."""
        for name, known in self._sets.items():
            if known.count < least:
                raise ValueError(
                    f"{type(self).__name__}.result needs {least} {name} images at least, {reason}, but there were "
                    f"{known.count}: give more to update_{name} first."
                )

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        new = type(self).__new__(type(self))
        memo[id(self)] = new
        for name, value in self.__dict__.items():
            setattr(new, name, value if name == "extractor" else copy.deepcopy(value, memo))
        return new


def float64_samples(reservoir: Reservoir) -> np.ndarray:
    """Return the samples as they are computed with."""
    return reservoir.samples.astype("float64")
