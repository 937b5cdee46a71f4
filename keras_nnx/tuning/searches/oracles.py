"""Oracles: keras-tuner's, whose state outlives the process, however it ends."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Sequence
from typing import Any

import keras_tuner
import numpy as np
from keras_tuner.engine import trial as trials
from keras_tuner.src.tuners.gridsearch import LinkedList

from keras_nnx.tuning.searches.folder import Folder, read_json, write_json
from keras_nnx.tuning.searches.objectives import Objective
from keras_nnx.tuning.searches.result import COMPLETED, FAILED, INFEASIBLE

_MOST_FAILURES = 3
RUNNING = {"status": "RUNNING"}
IDLE, STOPPED = {"status": "IDLE"}, {"status": "STOPPED"}


class Durable(keras_tuner.Oracle):
    """What the oracles here have in common: state in one file that is written at once, and what comes of failures.

    keras-tuner writes the state of the oracle and that of each trial into files of their own, one after the other and
    in place. A process that is killed in between leaves a trial that nobody runs, or one that runs twice, or a file
    that cannot be read. Here all of it is in `oracle.json`, which is replaced at once, with the one before beside it.
    """

    folder: Folder
    aims: tuple[Objective, ...]
    given_up = ""
    _again = False
    warm_up = 1
    ongoing_trials: dict[str, trials.Trial]

    def attach(
        self, folder: Folder, space: keras_tuner.HyperParameters, aims: Sequence[Objective], again: bool = False
    ) -> None:
        """Take a folder and a search space, and go on from what is there.

        Args:
            folder: The folder of the search.
            space: All ranges.
            aims: The objectives.
            again: Whether those who run a trial still do.
        """
        self._again = again
        self.folder, self.aims = folder, tuple(aims)
        self.verbose = 0
        self._set_project_dir(str(folder.trials.parent), folder.trials.name)
        if folder.oracle.exists() or any(folder.trials.glob("trial_*/trial.json")):
            self.reload()
        self.update_space(space)

    def get_state(self) -> dict[str, Any]:
        """Return all there is to know, the trials too."""
        return {**super().get_state(), "trials": {key: trial.get_state() for key, trial in self.trials.items()}}

    def save(self) -> None:
        """Write the state."""
        write_json(self.folder.oracle, self.get_state(), keep=True)

    def _save_trial(self, trial: trials.Trial) -> None:
        write_json(self.folder.trial(trial.trial_id) / "trial.json", trial.get_state())

    def reload(self) -> None:
        """Go on from the state on disk; from the one before it, or from the trials alone, if it is damaged."""
        state = read_json(self.folder.oracle)
        if state is None or "trials" not in state:
            self._restore()
            return
        self.trials = {key: trials.Trial.from_state(entry) for key, entry in state["trials"].items()}
        self.set_state(state)
        self._complete()
        # A trial that was begun after the state was written is drawn again, under its number, and keeps its result.
        self._run_again()

    def _restore(self) -> None:
        """Make the state anew from the files of the trials."""
        found = [read_json(path) for path in self.folder.trials.glob("trial_*/trial.json")]
        known = sorted((entry for entry in found if entry is not None), key=lambda entry: int(entry["trial_id"]))
        self.trials = {entry["trial_id"]: trials.Trial.from_state(entry) for entry in known}
        self.start_order = list(self.trials)
        self.end_order = [key for key, trial in self.trials.items() if trial.status in ("COMPLETED", "FAILED")]
        for trial in self.trials.values():
            self.update_space(trial.hyperparameters)
        for trial in self.trials.values():
            self._random_values()  # so that the next draw is the one that would have come
            self._record_values(trial)
        self._complete()
        self._run_again()

    def _complete(self) -> None:
        """Write missing files of trials; a trial whose result cannot be read has not ended."""
        for trial in self.trials.values():
            if read_json(self.folder.trial(trial.trial_id) / "trial.json") is None:
                self._save_trial(trial)
        self.end_order = [key for key in self.end_order if read_json(self.folder.result(key)) is not None]

    def _run_again(self) -> None:
        """Let the trials that have not ended be the next, the first of them first."""
        left = set(self.trials) - set(self.end_order)
        kept = {worker: trial for worker, trial in self.ongoing_trials.items() if trial.trial_id in left}
        self.ongoing_trials = kept if self._again else {}
        self.tuner_ids = set(self.ongoing_trials)
        left -= {trial.trial_id for trial in self.ongoing_trials.values()}
        self._retry_queue = sorted(left, key=int, reverse=True)

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Return the choices of the next trial, or that there is none."""
        return dict(STOPPED) if self.given_up else super().populate_space(trial_id)

    @keras_tuner.synchronized
    def end_trial(self, trial: trials.Trial) -> None:
        """Take what has become of a trial, with the reason that its worker has stored."""
        result = read_json(self.folder.result(trial.trial_id)) or {}
        if trial.trial_id in self.end_order:
            return  # told twice, by a worker that was taken for dead
        trial.hyperparameters = self.trials[trial.trial_id].hyperparameters  # what was sent has fewer digits
        if result.get("state", COMPLETED) != COMPLETED:
            trial.message = f"{result['state']}: {result['reason']}"
        super().end_trial(trial)
        if len(self.aims) > 1:
            self._weigh()
        self.save()  # keras-tuner saves before it strikes the trial off those under way

    def score_trial(self, trial: trials.Trial) -> None:
        """Score a trial by what its worker has stored, since what is sent has fewer digits."""
        name, stored = self.aims[0].name, read_json(self.folder.result(trial.trial_id))
        # A folder that machines share may be late.
        trial.score = trial.metrics.get_best_value(name) if stored is None else stored["measures"][name]

    def _weigh(self) -> None:
        """Score all trials anew by several objectives, with weights that change from one trial to the next.

        Each objective goes from 0, the best so far, to 1, the worst. A trial's score is the greatest of them, times
        their weights, and a little of their sum (the augmented Chebyshev scalarisation of ParEGO, Knowles 2006).
        """
        stored = {key: read_json(self.folder.result(key)) for key in self.trials}
        done = [trial for key, trial in self.trials.items() if trial.status == "COMPLETED" and stored[key]]
        if not done:
            return
        measures = [stored[trial.trial_id]["measures"] for trial in done]
        costs = np.array([[-aim.sign * entry[aim.name] for aim in self.aims] for entry in measures])
        costs = (costs - costs.min(0)) / np.maximum(np.ptp(costs, 0), 1e-12)
        weights = np.random.RandomState(self.seed + len(self.end_order)).dirichlet(np.ones(len(self.aims)))
        for trial, cost in zip(done, costs * weights, strict=True):
            trial.score = float(cost.max() + 0.05 * cost.sum())

    def _check_consecutive_failures(self) -> None:
        """Give up if nothing but errors has come of the first trials."""
        states = [(read_json(self.folder.result(key)) or {}).get("state", FAILED) for key in self.end_order]
        if states.count(FAILED) >= _MOST_FAILURES and not {COMPLETED, INFEASIBLE} & set(states):
            self.given_up = "the first trials have all failed"


class RandomOracle(Durable, keras_tuner.oracles.RandomSearchOracle):
    """Random search."""


class BayesianOracle(Durable, keras_tuner.oracles.BayesianOptimizationOracle):
    """Bayesian optimisation by a Gaussian process, which draws the same after a resumption as without."""

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Return the choices of the next trial, or that there is none."""
        self._random_state = np.random.RandomState(self.seed + len(self.start_order))
        with warnings.catch_warnings():
            # That a scale of the surrogate is at its bound is nothing that a user can do anything about.
            warnings.filterwarnings("ignore", module=r"sklearn\.gaussian_process")
            response = super().populate_space(trial_id)
        if response["status"] == "RUNNING" and self._duplicate(response["values"]):
            values = self._random_values()  # where the surrogate sees nothing better than what is known
            return {**RUNNING, "values": values} if values else dict(STOPPED)
        return response


class GridOracle(Durable, keras_tuner.oracles.GridSearchOracle):
    """Grid search, which goes on where it was: keras-tuner's forgets the order of what it has tried."""

    def reload(self) -> None:
        """Go on from the state on disk."""
        super().reload()
        before = functools.cmp_to_key(
            lambda a, b: self._compare(self.trials[a].hyperparameters.values, self.trials[b].hyperparameters.values)
        )
        self._ordered_ids: Any = LinkedList()
        for trial_id in sorted(self.trials, key=before):
            self._ordered_ids.insert(trial_id)
        self._populate_next = list(self.start_order)


class HyperbandOracle(Durable, keras_tuner.oracles.HyperbandOracle):
    """Hyperband, in which trials that fail or are rejected make way: keras-tuner's waits for them."""

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Return the choices of the next trial, or that there is none."""
        if self.given_up:
            return dict(STOPPED)
        for bracket in self._brackets:
            number, rounds = bracket["bracket_num"], bracket["rounds"]
            if len(rounds[0]) < self._get_size(number, 0):
                return self._random_trial(trial_id, bracket)
            for index in range(1, len(rounds)):
                chosen = self._promoted(bracket, index)
                if chosen is not None:
                    rounds[index].append({"past_id": chosen.trial_id, "id": trial_id})
                    return {**RUNNING, "values": self._continued(chosen, number, index)}
        if self._current_bracket == 0:
            return dict(IDLE if self.ongoing_trials else STOPPED)
        self._increment_bracket_num()
        self._start_new_bracket()
        return self._random_trial(trial_id, self._brackets[-1])

    def _promoted(self, bracket: dict[str, Any], index: int) -> trials.Trial | None:
        """Return the best trial of a round that is sure to be among those that go on, and has not yet."""
        past, taken = bracket["rounds"][index - 1], {entry["past_id"] for entry in bracket["rounds"][index]}
        number = bracket["bracket_num"]
        ran = [self.trials[entry["id"]] for entry in past]
        ended = [trial for trial in ran if trial.status in ("COMPLETED", "FAILED")]
        losers = self._get_size(number, index - 1) - self._get_size(number, index)
        ranked = sorted(
            (trial for trial in ended if trial.status == "COMPLETED" and trial.trial_id not in taken),
            key=lambda trial: trial.score,
            reverse=self.objective.direction == "max",
        )
        return ranked[0] if ranked and len(ended) - len(taken) > losers else None

    def _continued(self, trial: trials.Trial, number: int, index: int) -> dict[str, Any]:
        return {
            **trial.hyperparameters.values,
            "tuner/trial_id": trial.trial_id,
            "tuner/epochs": self._get_epochs(number, index),
            "tuner/initial_epoch": self._get_epochs(number, index - 1),
            "tuner/bracket": number,
            "tuner/round": index,
        }

    def _restore(self) -> None:
        super()._restore()
        self._brackets: list[dict[str, Any]] = []
        self._current_iteration = 0
        of_trial: dict[str, dict[str, Any]] = {}
        for trial_id, trial in self.trials.items():
            values = trial.hyperparameters.values
            past = values.get("tuner/trial_id") if values["tuner/round"] else None
            number = of_trial[past]["bracket_num"] if past else values["tuner/bracket"]
            bracket = next((entry for entry in self._brackets if entry["bracket_num"] == number), None)
            if bracket is None:
                bracket = {"bracket_num": number, "rounds": [[] for _ in range(self._get_num_rounds(number))]}
                self._brackets.append(bracket)
            bracket["rounds"][values["tuner/round"]].append({"past_id": past, "id": trial_id})
            of_trial[trial_id] = bracket
        if self._brackets:
            self._current_bracket = min(entry["bracket_num"] for entry in self._brackets)
        else:
            self._start_new_bracket()
