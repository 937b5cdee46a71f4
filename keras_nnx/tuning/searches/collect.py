"""What a folder says about its search, read without Keras."""

from __future__ import annotations

import dataclasses
import shutil
from typing import Any

from keras_nnx.tuning.searches.configuration import Configuration
from keras_nnx.tuning.searches.folder import WEIGHTS, Folder, read_json
from keras_nnx.tuning.searches.result import FORMAT, RUNNING, SearchResult, TrialResult
from keras_nnx.tuning.searches.supervisor import SearchError


def begin(folder: Folder, configuration: Configuration) -> int:
    """Write down what is asked for, or check that it is what the search in the folder began with.

    Args:
        folder: Of the search.
        configuration: What is asked for now.

    Returns:
        How many trials are done already.

    Raises:
        ValueError: If the folder holds another search, or something else.
    """
    values, nothing = folder.read_search(), {"format": FORMAT, "seconds": 0.0, "environment": {}}
    if values is None:
        check_ours(folder)
        values = nothing
    elif not folder.trials.exists():
        clear(folder)  # its first worker refused something that may have been mended
        values = nothing
    else:
        check_same(folder, configuration, values)
    done = len(folder.results())
    kept = dataclasses.replace(configuration, trials=max(done, configuration.trials))
    folder.write_search({**values, "configuration": kept.to_dict()})
    return done


def asked(folder: Folder) -> Configuration:
    """Return what the search in a folder is to do.

    Raises:
        ValueError: If the folder holds no search.
    """
    return Configuration.from_dict(_values(folder)["configuration"])


def _values(folder: Folder) -> dict[str, Any]:
    values = folder.read_search()
    if values is None:
        raise ValueError(f"{folder.root} holds no search: there is no {folder.search.name}.")
    return values


def check_same(folder: Folder, configuration: Configuration, values: dict[str, Any], *, joining: bool = False) -> None:
    """Raise unless the search in a folder is the one that is asked for, but for the number of trials.

    Args:
        folder: Of the search.
        configuration: What is asked for now.
        values: What the folder says.
        joining: Whether the search is one that another machine runs.

    Raises:
        ValueError: If it is another one; the differences are named.
    """
    differences = configuration.differences(Configuration.from_dict(values["configuration"]))
    if differences and joining:
        raise ValueError(
            f"The search in {folder.root} differs in its {', '.join(differences)}: give the same options as where it "
            f"was started."
        )
    if differences:
        raise ValueError(
            f"{folder.root} holds another search, by its {', '.join(differences)}: name another folder, or begin "
            f"anew with overwrite=True (on the command line --overwrite)."
        )


def collect(folder: Folder, *, running: bool = False) -> SearchResult:
    """Return what has been found so far.

    Args:
        folder: Of the search.
        running: Whether to include the trials under way.

    Raises:
        ValueError: If the folder holds no search.
    """
    values = _values(folder)
    configuration = Configuration.from_dict(values["configuration"])
    space = read_json(folder.space)
    objectives, constraints = configuration.parsed(space["metrics"] if space else None)
    trials = {key: _as_stored(folder, entry) for key, entry in folder.results().items()}
    if running:
        trials |= {trial.id: trial for trial in _under_way(folder) if trial.id not in trials}
    return SearchResult(
        folder.root,
        {**configuration.to_dict(), **values.get("about", {})},
        objectives,
        constraints,
        tuple(trials[key] for key in sorted(trials, key=int)),
        values["seconds"],
        values["environment"],
        values.get("afresh", {}),
        tuple(_logarithmic(space["space"]["space"])) if space else (),
    )


def add_seconds(folder: Folder, seconds: float) -> None:
    """Write down how long a part of a search took.

    Args:
        folder: Of the search.
        seconds: Of the part.
    """
    values = _values(folder)
    folder.write_search({**values, "seconds": values["seconds"] + seconds})


def conclude(folder: Folder, seconds: float) -> SearchResult:
    """Write the report of a search whose best model has been put in place.

    Args:
        folder: Of the search.
        seconds: How long this part of it took.

    Raises:
        SearchError: If no trial was completed.
    """
    add_seconds(folder, seconds)
    values, last = _values(folder), read_json(folder.finish) or {}
    values |= {
        "environment": last.get("environment", {}),
        "afresh": {"measures": last.get("measures", {}), "notes": [*last.get("notes", ()), *_end(folder)]},
    }
    folder.write_search(values)
    result = collect(folder)
    folder.write_search({**values, **result.to_dict()})
    result.to_html(folder.page)
    if result.best is None:
        raise SearchError(_why_none(result))
    return result


def _logarithmic(space: list[dict[str, Any]]) -> list[str]:
    return [entry["config"]["name"] for entry in space if entry["config"].get("sampling") == "log"]


def _end(folder: Folder) -> list[str]:
    """Return why there are fewer trials than were asked for, if there are."""
    configuration, done = asked(folder), len(folder.results())
    if done >= configuration.trials:
        return []
    return [f"The search ended after {done} of {configuration.trials} trials: the oracle has nothing left to try."]


def _as_stored(folder: Folder, entry: dict[str, Any]) -> TrialResult:
    found = TrialResult.from_dict(entry)
    kept = found.artifact is not None and (folder.trials / found.artifact / WEIGHTS).exists()
    return found if kept else dataclasses.replace(found, artifact=None)


def _under_way(folder: Folder) -> list[TrialResult]:
    found = []
    for path in folder.state.glob("worker-*.json"):
        stage: dict[str, Any] = read_json(path) or {}
        if stage.get("trial"):
            written = read_json(folder.trial(stage["trial"]) / "trial.json")
            values = written["hyperparameters"]["values"] if written else {}
            shown = {key: value for key, value in values.items() if not key.startswith("tuner/")}
            found.append(TrialResult(stage["trial"], RUNNING, shown, reason=stage["stage"], worker=path.stem))
    return found


def check_ours(folder: Folder) -> None:
    """Raise unless a folder is absent, empty, or holds a search.

    Raises:
        ValueError: If it holds something else.
    """
    if not folder.root.exists() or folder.read_search() is not None or folder.space.exists():
        return
    known = {folder.state.name, folder.logs.name}
    foreign = sorted(path.name for path in folder.root.iterdir() if path.name not in known)
    if foreign:
        raise ValueError(f"{folder.root} holds {foreign[0]}, and no search: name another folder.")


def clear(folder: Folder) -> None:
    """Remove the search in a folder, which this process has locked, and nothing else.

    Raises:
        ValueError: If it holds something else.
    """
    check_ours(folder)
    ours = (folder.trials, folder.logs, folder.best, folder.search, folder.page)
    for path in (*ours, folder.search.with_name(folder.search.name + ".previous")):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    for path in folder.state.glob("*.json*"):
        path.unlink()


def _why_none(result: SearchResult) -> str:
    reasons: dict[str, int] = {}
    for trial in result.trials:
        key = f"{trial.state}, {trial.reason}"
        reasons[key] = reasons.get(key, 0) + 1
    shown = "; ".join(f"{reason}" for reason in list(reasons)[:3])
    return f"None of {len(result.trials)} trials was completed. The first reasons: {shown}"
