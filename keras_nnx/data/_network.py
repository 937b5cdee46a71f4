"""Tells whether a download can work at all, so that a machine without a network hears so within seconds."""

import socket
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlsplit

from keras_nnx.data._extra import require
from keras_nnx.data.errors import NoNetworkError

TIMEOUT_SECONDS = 5.0
_PORTS = {"http": 80, "https": 443, "ftp": 21}
_HOSTS_TRIED = 3


def require_network(builder: Any) -> None:
    """Raises when a builder has to download, and none of the hosts it downloads from answers.

    TensorFlow Datasets retries a dead connection for minutes. Nothing is checked behind a proxy, where name
    look-ups may fail though downloads work, nor when the downloads folder has files of this data set.

    Args:
        builder: The TensorFlow Datasets builder.

    Raises:
        NoNetworkError: If no host answers within five seconds.

    Example:
        >>> from types import SimpleNamespace
        >>> require_network(SimpleNamespace(name="offline", url_infos=None))
    """
    hosts = {
        (parts.hostname, _PORTS[parts.scheme])
        for parts in map(urlsplit, builder.url_infos or ())
        if parts.scheme in _PORTS
    }
    if not hosts or _has_proxy() or _has_downloads(builder):
        return
    for host, port in sorted(hosts)[:_HOSTS_TRIED]:
        try:
            socket.create_connection((host, port), timeout=TIMEOUT_SECONDS).close()
        except OSError as error:
            failure = error
        else:
            return
    raise no_network(builder.name, failure) from failure


def no_network(name: str, failure: BaseException) -> NoNetworkError:
    """The error that says that a data set cannot be downloaded, and what to do.

    Args:
        name: The data set.
        failure: What went wrong with the connection.

    Returns:
        The error, to be raised.

    Example:
        >>> print(no_network("mnist", OSError("no route")))
        The data set 'mnist' has to be downloaded, and there is no network connection to where it is kept (OSError: \
no route). Connect to the network, or pass data_dir= of a machine that has it prepared; load('digits') needs no network.
    """
    return NoNetworkError(
        f"The data set '{name}' has to be downloaded, and there is no network connection to where it is kept "
        f"({type(failure).__name__}: {failure}). Connect to the network, or pass data_dir= of a machine that has it "
        "prepared; load('digits') needs no network."
    )


def is_network_failure(error: BaseException | None) -> bool:
    """Whether an error, or the error it was raised from, says that a host could not be reached.

    A server that answers with an error, a certificate that is wrong and a full disk are none of these.

    Args:
        error: The error.

    Returns:
        True for a connection that failed.

    Example:
        >>> is_network_failure(socket.gaierror("unknown host")), is_network_failure(OSError("disk full"))
        (True, False)
    """
    exceptions = require("requests.exceptions")
    unreachable = (socket.gaierror, ConnectionError, TimeoutError, exceptions.ConnectionError, exceptions.Timeout)
    while error is not None:
        if isinstance(error, exceptions.SSLError | urllib.error.HTTPError):
            return False
        if isinstance(error, unreachable):
            return True
        if isinstance(error, urllib.error.URLError) and isinstance(error.reason, OSError):
            return is_network_failure(error.reason)
        error = error.__cause__
    return False


def _has_proxy() -> bool:
    return not {"http", "https", "all"}.isdisjoint(urllib.request.getproxies())


def _has_downloads(builder: Any) -> bool:
    """Whether files are there that an interrupted preparation, or the user, has finished downloading."""
    downloads = builder.data_dir_root / "downloads"
    folders = [folder for folder in (downloads / builder.name, downloads / "manual") if folder.exists()]
    return any(".tmp." not in path.name for folder in folders for path in folder.iterdir())
