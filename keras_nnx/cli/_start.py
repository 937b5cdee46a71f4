"""Starting TensorFlow without its start-up messages."""

from __future__ import annotations

import functools
import importlib
import os
import sys
from collections.abc import Callable
from typing import Any

from keras_nnx._stderr import held_back_stderr


def after_quiet_start(command: Callable[..., None]) -> Callable[..., None]:
    """Return `command`, preceded by the import of Keras and of the layers that a model file may name.

    What TensorFlow's libraries write while they load is shown only if they fail to; later messages are held back by
    its own setting, which a user's environment overrides.
    """

    @functools.wraps(command)
    def started(*arguments: Any, **options: Any) -> None:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        with held_back_stderr():
            importlib.import_module("keras_nnx.models")
            if "tensorflow" in sys.modules:
                sys.modules["tensorflow"].config.list_physical_devices()  # drivers that are not there complain
        command(*arguments, **options)

    return started
