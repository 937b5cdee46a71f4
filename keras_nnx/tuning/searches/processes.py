"""Processes that end with the one that started them; they run this file before they import anything of the package."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading

_PR_SET_PDEATHSIG = 1


def end_with_parent() -> None:
    """End this process, and what it has started, as soon as its standard input is closed: its parent has gone.

    Ctrl-C is for the parent, which ends its children in order.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform.startswith("linux"):  # at once, also from within a long call into a library
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=_wait, daemon=True).start()


def _wait() -> None:
    while os.read(0, 1):  # not through sys.stdin, whose lock this thread would hold at the end
        pass
    os._exit(1)
