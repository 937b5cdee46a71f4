"""Searches without models: what a trial comes to is a function of what was chosen."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras_tuner
import pytest

from keras_nnx.tuning.searches.choice import make_oracle
from keras_nnx.tuning.searches.folder import Folder, read_json, write_json
from keras_nnx.tuning.searches.objectives import parse_objective
from keras_nnx.tuning.searches.oracles import Durable
from keras_nnx.tuning.searches.result import COMPLETED, TrialResult
from tests.tuning.searches.running import prepare


def space() -> dict[str, Any]:
    hp = keras_tuner.HyperParameters()
    hp.Float("rate", 1e-4, 1e-1, sampling="log")
    hp.Int("depth", 1, 3)
    hp.Choice("kind", ["plain", "gated"])
    with hp.conditional_scope("kind", ["gated"]):
        hp.Boolean("bias")
    return {"space": hp.get_config()["space"], "values": {}}


def measure(values: dict[str, Any]) -> dict[str, float]:
    accuracy = 1 - abs(values["rate"] - 0.01) - 0.1 * abs(values["depth"] - 2) - 0.05 * (values["kind"] == "plain")
    return {"val_accuracy": accuracy, "latency_ms": float(values["depth"]) + values["rate"]}


@dataclasses.dataclass
class Rehearsal:
    """An oracle that can be ended and begun again, and trials that take no time."""

    folder: Folder
    name: str
    most: int
    objectives: tuple[str, ...] = ("val_accuracy",)
    seed: int = 3
    epochs: int = 9
    outcome: Callable[[str, dict[str, Any]], tuple[str, dict[str, float]]] = lambda key, values: (
        COMPLETED,
        measure(values),
    )
    ran: list[str] = dataclasses.field(default_factory=list)

    def begin(self, again: bool = False) -> Durable:
        aims = [parse_objective(name) for name in self.objectives]
        return make_oracle(self.name, aims, self.most, self.seed, self.epochs, self.folder, space(), again)

    def run_trial(self, oracle: Durable, trial: Any) -> None:
        path = self.folder.result(trial.trial_id)
        if read_json(path) is None:
            self.ran.append(trial.trial_id)
            state, measures = self.outcome(trial.trial_id, trial.hyperparameters.values)
            result = TrialResult(trial.trial_id, state, dict(trial.hyperparameters.values), measures, reason="as asked")
            write_json(path, {**result.to_dict(), "drawn": trial.hyperparameters.values})
        self.tell(oracle, trial)

    def tell(self, oracle: Durable, trial: Any) -> None:
        result = self.folder.results()[trial.trial_id]
        if result["state"] == COMPLETED:
            oracle.update_trial(trial.trial_id, {name: result["measures"][name] for name in self.objectives})
        trial.status = "COMPLETED" if result["state"] == COMPLETED else "FAILED"
        oracle.end_trial(trial)

    def run(self, oracle: Durable, most: int | None = None) -> list[dict[str, Any]]:
        """Run trials until there are no more, or so many; return what was chosen in each."""
        values = []
        while most is None or len(values) < most:
            trial = oracle.create_trial("worker-1")
            if trial.status == "STOPPED":
                break
            self.run_trial(oracle, trial)
            values.append(dict(oracle.trials[trial.trial_id].hyperparameters.values))
        return values


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """Return a folder in which `running.started` has what it searches."""
    return prepare(tmp_path)


@pytest.fixture
def rehearse(tmp_path: Path) -> Callable[..., Rehearsal]:
    count = iter(range(100))

    def make(name: str, most: int | None = None, **more: Any) -> Rehearsal:
        trials = most or (6 if name == "bayesian" else 8)  # whose draws take seconds, from the fifth on
        return Rehearsal(Folder(tmp_path / str(next(count))), name, trials, **more)

    return make
