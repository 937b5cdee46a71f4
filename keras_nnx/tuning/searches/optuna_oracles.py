"""Oracles whose choices are Optuna's: `pip install "keras-nnx[optuna]"`."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import keras_tuner
from keras_tuner.engine import hyperparameters as ranges
from keras_tuner.engine.trial import Trial

from keras_nnx.tuning.searches.folder import read_json
from keras_nnx.tuning.searches.oracles import RUNNING, STOPPED, Durable
from keras_nnx.tuning.searches.result import PRUNED

try:
    import optuna
except ImportError as error:
    raise ImportError('The oracles tpe and nsga2 need Optuna: run pip install "keras-nnx[optuna]".') from error


class OptunaOracle(Durable):
    """Asks a sampler of Optuna, which sees the same space, and forgets nothing when the process ends.

    The study is made anew for each trial from what is known, with a seed that goes with the number of the trial, so
    that a search that was ended goes on as if it had not been. Numbers are asked for as shares of their range, by
    keras-tuner's own measure, whatever their steps and scales are.

    Args:
        objective: Of keras-tuner.
        max_trials: How many.
        seed: The same gives the same trials.
    """

    def __init__(self, objective: Any = None, max_trials: int = 20, seed: int | None = None) -> None:
        super().__init__(objective=objective, max_trials=max_trials, seed=seed)
        self._asked: dict[str, dict[str, Any]] = {}
        self._reported: dict[str, dict[str, float]] = {}

    def sampler(self, seed: int) -> optuna.samplers.BaseSampler:
        """Return the sampler of one draw."""
        raise NotImplementedError

    def get_state(self) -> dict[str, Any]:
        """Return all there is to know."""
        return {**super().get_state(), "asked": self._asked, "reported": self._reported}

    def set_state(self, state: dict[str, Any]) -> None:
        """Take what was known."""
        super().set_state(state)
        self._asked, self._reported = state["asked"], state["reported"]

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Return the choices of the next trial, or that there is none."""
        if self.given_up:
            return dict(STOPPED)
        study = self._study(self.seed + len(self.start_order))
        for _ in range(self._max_collisions):
            asked = study.ask()
            values = self._values(asked)
            if not self._duplicate(values):
                frozen = study.trials[asked.number]
                self._asked[trial_id] = {"shares": frozen.params, "attributes": _plain(frozen.system_attrs)}
                return {**RUNNING, "values": values}
            study.tell(asked, state=optuna.trial.TrialState.FAIL)
        values = self._random_values()
        return {**RUNNING, "values": values} if values else dict(STOPPED)

    @keras_tuner.synchronized
    def update_trial(self, trial_id: str, metrics: dict[str, float], step: int = 0) -> Trial:
        """Take a value of an epoch, and say by the status whether the trial is to stop; step 0 is the end."""
        if not step:
            return super().update_trial(trial_id, metrics, step)
        self._reported.setdefault(trial_id, {})[str(step)] = float(metrics[self.aims[0].name])
        answer = copy.copy(self.trials[trial_id])
        study = self._study(self.seed)
        pruner = optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=self.warm_up)
        if pruner.prune(study, self._frozen(answer)):
            answer.status = "STOPPED"
        return answer

    def _study(self, seed: int) -> optuna.Study:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            optuna.logging.set_verbosity(optuna.logging.ERROR)
            directions = ["maximize" if aim.direction == "max" else "minimize" for aim in self.aims]
            study = optuna.create_study(sampler=self.sampler(seed), directions=directions)
            for trial_id in self.start_order:
                study.add_trial(self._frozen(self.trials[trial_id]))
        return study

    def _frozen(self, trial: Trial) -> optuna.trial.FrozenTrial:
        """Return a trial as Optuna knows it."""
        asked = self._asked.get(trial.trial_id, {"shares": {}, "attributes": {}})
        known = {hp.name: distribution(hp) for hp in self.hyperparameters.space}
        states = optuna.trial.TrialState
        state, values = states.RUNNING, None
        stored = read_json(self.folder.result(trial.trial_id))
        if trial.status == "COMPLETED" and stored is not None:
            state, values = states.COMPLETE, [stored["measures"][aim.name] for aim in self.aims]
        elif trial.status == "FAILED":
            pruned = (trial.message or "").startswith(PRUNED) and len(self.aims) == 1
            state = states.PRUNED if pruned else states.FAIL
        return optuna.trial.create_trial(
            state=state,
            values=values,
            params=asked["shares"],
            distributions={name: known[name] for name in asked["shares"]},
            system_attrs=asked["attributes"],
            intermediate_values={int(key): value for key, value in self._reported.get(trial.trial_id, {}).items()},
        )

    def _values(self, asked: optuna.Trial) -> dict[str, Any]:
        hps = keras_tuner.HyperParameters()
        for hp in self.hyperparameters.space:
            hps.merge([hp])
            if hps.is_active(hp):
                hps.values[hp.name] = _suggest(asked, hp)
        return hps.values


class TreeParzenOracle(OptunaOracle):
    """The tree-structured Parzen estimator (Bergstra et al., 2011), with the median of others to stop trials by."""

    def sampler(self, seed: int) -> optuna.samplers.BaseSampler:
        """Return the sampler of one draw."""
        return optuna.samplers.TPESampler(n_startup_trials=max(4, self.max_trials // 4), seed=seed)


class GeneticOracle(OptunaOracle):
    """NSGA-II (Deb et al., 2002): generations of trials, of which those on the front are crossed."""

    def sampler(self, seed: int) -> optuna.samplers.BaseSampler:
        """Return the sampler of one draw."""
        return optuna.samplers.NSGAIISampler(population_size=max(4, min(50, self.max_trials // 4)), seed=seed)


def distribution(hp: Any) -> optuna.distributions.BaseDistribution:
    """Return what Optuna draws for a range: a name, or a share."""
    if isinstance(hp, ranges.Choice) and not hp.ordered:
        return optuna.distributions.CategoricalDistribution(tuple(hp.values))
    if isinstance(hp, ranges.Boolean):
        return optuna.distributions.CategoricalDistribution((False, True))
    return optuna.distributions.FloatDistribution(0.0, 1.0)


def _suggest(asked: optuna.Trial, hp: Any) -> Any:
    if isinstance(hp, ranges.Fixed):
        return hp.value
    found = distribution(hp)
    if isinstance(found, optuna.distributions.CategoricalDistribution):
        return asked.suggest_categorical(hp.name, found.choices)
    return hp.prob_to_value(asked.suggest_float(hp.name, 0.0, 1.0))


def _plain(attributes: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in attributes.items() if isinstance(value, str | int | float | list | dict)}


OPTUNA: dict[str, type[Durable]] = {"tpe": TreeParzenOracle, "nsga2": GeneticOracle}
