"""The chief: the process in which the oracle is, and which keras-tuner's workers ask by gRPC.

It knows the search space from a file, and neither models nor data: TensorFlow is not needed for it.
"""

from __future__ import annotations

import functools
import os
import sys
import time
import traceback
from collections.abc import Callable
from concurrent import futures
from typing import Any

import grpc
from keras_tuner.src import protos
from keras_tuner.src.distribute.oracle_chief import OracleServicer, exit_chief

from keras_nnx.tuning.searches.choice import make_oracle
from keras_nnx.tuning.searches.collect import asked
from keras_nnx.tuning.searches.folder import Folder, read_json, write_json
from keras_nnx.tuning.searches.oracles import Durable

_PAUSE_SECONDS = 0.1


class _Servicer(OracleServicer):
    """Ends the process if the oracle fails, for the supervisor to start it again.

    keras-tuner's lock is not let go of when something is raised under it: no worker would be answered any more.
    """

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        return _or_end(found) if name[0].isupper() else found


def _or_end(answer: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(answer)
    def guarded(*arguments: Any) -> Any:
        try:
            return answer(*arguments)
        except BaseException:  # noqa: BLE001  (it is told, and ends the process)
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)

    return guarded


def main() -> None:
    """Serve until nothing is left: the arguments are the folder of the search and the address to listen at."""
    folder = Folder(sys.argv[1])
    serve(open_oracle(folder, again="again" in sys.argv[3:]), folder, sys.argv[2])


def open_oracle(folder: Folder, again: bool = False) -> Durable:
    """Return the oracle of the search in a folder.

    Args:
        folder: In which the configuration and the space have been written.
        again: Whether workers of other machines go on with the trials that they have: only the chief had died.
    """
    configuration = asked(folder)
    space = read_json(folder.space)
    objectives, _ = configuration.parsed(space["metrics"])
    return make_oracle(
        configuration.oracle,
        objectives,
        configuration.trials,
        configuration.seed,
        configuration.epochs,
        folder,
        space["space"],
        again,
    )


def serve(oracle: Durable, folder: Folder, address: str) -> None:
    """Answer workers, and write down when no trial is under way and all that have asked know that there are no more.

    `keras_tuner` has a loop of its own for it, which sleeps for 20 seconds at a time, cannot say which free port it
    has taken, and ends before a worker that starts late has asked. This one ends with the process that started it.

    Args:
        oracle: The oracle.
        folder: Where the address is written.
        address: Host and port; port 0 for any that is free.

    Raises:
        OSError: If the address is taken.
    """
    # One that dies is not to leave a port to two of them.
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=1), options=[("grpc.so_reuseport", 0)])
    servicer = _Servicer(oracle)
    protos.get_service_grpc().add_OracleServicer_to_server(servicer, server)
    try:
        port = server.add_insecure_port(address)
    except RuntimeError as error:
        raise OSError(f"The chief cannot listen at {address}: {error}") from error
    server.start()
    host = address.rpartition(":")[0]
    write_json(folder.address, {"host": host, "port": port, "process": os.getpid()})
    while True:
        if servicer.stop_triggered and not folder.over.exists() and exit_chief(oracle):
            write_json(folder.over, {"given_up": oracle.given_up})
        time.sleep(_PAUSE_SECONDS)
