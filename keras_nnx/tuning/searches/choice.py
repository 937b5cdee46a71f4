"""The oracle of a name, as it goes on from what is in a folder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras_tuner

from keras_nnx.tuning.searches.folder import Folder
from keras_nnx.tuning.searches.objectives import Objective
from keras_nnx.tuning.searches.oracles import BayesianOracle, Durable, GridOracle, HyperbandOracle, RandomOracle

_LEAST_INITIAL = 4
_SEED_FOR_ZERO = 2**31 - 1  # keras-tuner takes 0 for none
ORACLES = {"random": RandomOracle, "bayesian": BayesianOracle, "hyperband": HyperbandOracle, "grid": GridOracle}


def make_oracle(
    name: str,
    aims: Sequence[Objective],
    most: int,
    seed: int,
    epochs: int,
    folder: Folder,
    space: dict[str, Any],
    again: bool = False,
) -> Durable:
    """Return an oracle that goes on from what is in a folder.

    Args:
        name: One of `ORACLES`.
        aims: The objectives.
        most: How many trials.
        seed: The same gives the same trials.
        epochs: Of a trial; with Hyperband, of the last round.
        folder: The folder of the search.
        space: All ranges, as `keras_tuner.HyperParameters.get_config` gives them.
        again: Whether those who run a trial still do.
    """
    found = [keras_tuner.Objective(aim.name, aim.direction) for aim in aims]
    arguments: dict[str, Any] = {"objective": found if len(found) > 1 else found[0], "seed": seed or _SEED_FOR_ZERO}
    if name == "hyperband":
        arguments["max_epochs"] = epochs
    else:
        arguments["max_trials"] = most
    if name == "bayesian":
        arguments["num_initial_points"] = max(_LEAST_INITIAL, most // 4)
    oracle = _class_of(name)(**arguments)
    oracle.max_trials = most
    oracle.warm_up = max(1, epochs // 5)
    oracle.attach(folder, keras_tuner.HyperParameters.from_config(space), aims, again)
    return oracle


def _class_of(name: str) -> type[Durable]:
    if name in ORACLES:
        return ORACLES[name]
    from keras_nnx.tuning.searches.optuna_oracles import OPTUNA  # an extra of its own

    return OPTUNA[name]
