"""Everything that training changes in a model, kept to be put back exactly."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops


class Snapshot:
    """The values of variables at a moment.

    Args:
        variables: Which.
    """

    def __init__(self, variables: Any) -> None:
        self._kept = [(variable, np.array(ops.convert_to_numpy(variable))) for variable in variables]

    def restore(self) -> None:
        """Put the values back."""
        for variable, value in self._kept:
            variable.assign(value)


def trained_state(model: Any) -> list[Any]:
    """Return all variables of a model and of its optimizer: weights, statistics, random states, slots and counters."""
    return [*model.variables, *model.optimizer.variables]
