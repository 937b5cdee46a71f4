"""A worker: the process that runs trials, one after the other, until it is recycled or none is left."""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from typing import Any, NoReturn

import grpc
import keras_tuner

from keras_nnx.data import DataError
from keras_nnx.export.workers import shared_worker
from keras_nnx.tuning.searches.collect import asked
from keras_nnx.tuning.searches.configuration import Configuration
from keras_nnx.tuning.searches.folder import Folder, read_json, write_json
from keras_nnx.tuning.searches.named import described, find_data, find_space
from keras_nnx.tuning.searches.quiet import Quiet
from keras_nnx.tuning.searches.supervisor import RECYCLED, REFUSED
from keras_nnx.tuning.searches.trial import StorageError, TrialRunner
from keras_nnx.tuning.searches.tuner import RecycledError, SearchTuner

PRUNING = ("tpe",)
_PATIENCE_SECONDS = 60.0
_WITHOUT_PROXY = "no_grpc_proxy"


def main() -> None:
    """Run trials: the arguments are the folder, the name of the worker, and after how many trials it ends.

    The first worker finds out what the search space is, and writes it down before the chief is started.
    """
    folder, name, recycle = Folder(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    configuration = asked(folder)
    try:
        runner = make_runner(folder, configuration)
    except (ValueError, TypeError, ImportError, DataError, OSError) as error:
        traceback.print_exc()
        _refuse(folder, name, error)
    except Exception as error:  # noqa: BLE001  (of the user's own code, or a defect: it is told, and ends the search)
        traceback.print_exc()
        _refuse(folder, name, RuntimeError(described(error)))
    write_json(folder.ready, {"process": os.getpid()})
    _follow_chief(folder, name)
    objectives, _ = configuration.parsed()
    oracle = keras_tuner.oracles.RandomSearchOracle(
        [keras_tuner.Objective(aim.name, aim.direction) for aim in objectives]
    )
    sys.stdout.write(f"process {os.getpid()}\n")
    tuner = SearchTuner(oracle, runner, folder, recycle, _teller(folder, name), prunes(runner))
    try:
        with shared_worker():
            tuner.search()
    except RecycledError:
        sys.exit(RECYCLED)
    except StorageError as error:
        _refuse(folder, name, error)


def _refuse(folder: Folder, name: str, error: Exception) -> NoReturn:
    sys.stdout.write(f"{error}\n")
    sys.stdout.flush()
    write_json(folder.refusal(name), {"message": " ".join(str(error).split())})
    sys.exit(REFUSED)


def prunes(runner: TrialRunner) -> bool:
    """Return whether the oracle ends trials early: by the one objective that there is, if it is known in each epoch."""
    single = len(runner.objectives) == 1 and runner.objectives[0].quantity.kind == "metric"
    return single and runner.configuration.oracle in PRUNING


def make_runner(folder: Folder, configuration: Configuration) -> TrialRunner:
    """Return what runs the trials of a search, and write down its space.

    Args:
        folder: Of the search.
        configuration: What was asked for.

    Raises:
        ValueError: If space, data, objectives or constraints are not what they have to be, or the space is not the one
            that the search began with.
    """
    quiet = Quiet(folder.state)
    with quiet.working():
        data = find_data(configuration.data, configuration.seed)
        space = find_space(configuration.space, data)
    runner = TrialRunner(space, data, configuration, folder.trial, quiet)
    write_space(folder, runner)
    return runner


def write_space(folder: Folder, runner: TrialRunner) -> None:
    """Write the search space down for the chief.

    Raises:
        ValueError: If there is another one already.
    """
    hp = keras_tuner.HyperParameters()
    runner.space.declare_hyperparameters(hp)
    if not hp.space:
        raise ValueError("The space has no ranges: there is nothing to search.")
    found = {"space": {"space": hp.get_config()["space"], "values": {}}, "metrics": runner.metrics}
    before = read_json(folder.space)
    if before is None:
        write_json(folder.space, found)
    elif before != _as_read(found):
        raise ValueError(
            f"The space is not the one that the search in {folder.root} began with: name another folder, or begin "
            f"anew with overwrite=True (on the command line --overwrite)."
        )


def _as_read(values: Any) -> Any:
    return json.loads(json.dumps(values))


def _follow_chief(folder: Folder, name: str) -> None:
    """Tell keras-tuner where the chief is, as soon as there is one."""
    os.environ["KERASTUNER_TUNER_ID"] = name
    if "KERASTUNER_ORACLE_IP" not in os.environ:
        while (address := read_json(folder.address)) is None:
            time.sleep(0.1)
        os.environ.update(KERASTUNER_ORACLE_IP=address["host"], KERASTUNER_ORACLE_PORT=str(address["port"]))
    host, port = os.environ["KERASTUNER_ORACLE_IP"], os.environ["KERASTUNER_ORACLE_PORT"]
    # gRPC would ask a proxy for the machine next door, and for this one.
    os.environ[_WITHOUT_PROXY] = ",".join(filter(None, [os.environ.get(_WITHOUT_PROXY), host]))
    try:
        with grpc.insecure_channel(f"{host}:{port}") as channel:
            grpc.channel_ready_future(channel).result(_PATIENCE_SECONDS)
    except grpc.FutureTimeoutError:
        _refuse(folder, name, ConnectionError(f"No chief answers at {host}:{port}."))


def _teller(folder: Folder, name: str) -> Any:
    said = [""]

    def tell(trial: str, stage: str) -> None:
        if stage != said[0]:
            write_json(folder.stage(name), {"trial": trial, "stage": stage, "process": os.getpid()})
            sys.stdout.write(f"{time.strftime('%H:%M:%S')} {trial} {stage}\n")
            sys.stdout.flush()
            said[0] = stage

    return tell
