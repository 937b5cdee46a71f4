"""Ctrl-C and its kin: not in the middle of a step that has to be whole, and never lost."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

_NUMBERS = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """Let what would end the block early, Ctrl-C among it, have its effect at its end."""
    caught: list[int] = []

    def wait(number: int, frame: FrameType | None) -> None:
        caught.append(number)

    try:
        with _handled(lambda _: wait):
            yield
    finally:
        for late in dict.fromkeys(caught):
            signal.raise_signal(late)


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """Raise at the end of the block the interruption that it lost.

    What a handler raises while Python runs a finalizer is printed and dropped. TensorFlow has finalizers on every
    traced function, so that now and then a Ctrl-C would not end an export.
    """
    raised: list[BaseException] = []

    def remembering(handler: Callable) -> Callable:
        def handle(number: int, frame: FrameType | None) -> None:
            try:
                handler(number, frame)
            except BaseException as error:
                raised.append(error)
                raise

        return handle

    with _handled(remembering):
        yield
    if raised:
        raise raised[0]


@contextlib.contextmanager
def _handled(replaced: Callable[[Callable], Any]) -> Iterator[None]:
    """Handle interruptions by what `replaced` makes of their handlers."""
    if threading.current_thread() is not threading.main_thread():  # no other is interrupted, or may set a handler
        yield
        return
    handlers = {number: handler for number in _NUMBERS if callable(handler := signal.getsignal(number))}
    for number, handler in handlers.items():
        signal.signal(number, replaced(handler))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
