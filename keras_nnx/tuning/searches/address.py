"""Where a chief listens."""

from __future__ import annotations

import socket


def read_address(text: str) -> tuple[str, int]:
    """Return host and port of an address.

    Args:
        text: Such as `"127.0.0.1:0"`, where port 0 is any that is free, or `"[::1]:5000"`.

    Raises:
        ValueError: If it is none.
    """
    host, _, port = text.rpartition(":")
    if not host or not (port.isascii() and port.isdigit()) or int(port) > 65535 or (":" in host and host[0] != "["):
        raise ValueError(f"--listen {text} is no address: write host:port, such as 127.0.0.1:5000; port 0 is any free.")
    return host.removeprefix("[").removesuffix("]"), int(port)


def check_free(text: str) -> None:
    """Raise unless a process of this machine can listen at an address.

    Args:
        text: The address.

    Raises:
        ValueError: If it cannot, with what the system says.
    """
    host, port = read_address(text)
    try:
        family, kind, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as found:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            found.bind(place)
    except OSError as error:
        raise ValueError(f"The chief cannot listen at {text}: {error.strerror or error}.") from error
