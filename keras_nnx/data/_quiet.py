"""Keeps TensorFlow Datasets from writing to the terminal while it works."""

import contextlib
import io
import logging
import sys
from collections.abc import Iterator

from keras_nnx.data._extra import require


@contextlib.contextmanager
def quiet(*, progress: bool = False) -> Iterator[None]:
    """Silences TensorFlow Datasets' log lines and prints, for as long as the context lasts.

    Args:
        progress: Whether its progress bar and its messages may show on stderr where that is a terminal.

    Yields:
        Nothing.

    Example:
        >>> with quiet():
        ...     print("downloading")
    """
    bars = require("tensorflow_datasets.core.utils.tqdm_utils")
    terminal = progress and sys.stderr is not None and sys.stderr.isatty()
    before = getattr(bars, "_active", True)
    log = logging.getLogger("absl")
    level = log.level
    bars.display_progress_bar(before and terminal)
    log.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(sys.stderr if terminal else io.StringIO()):
            yield
    finally:
        log.setLevel(level)
        bars.display_progress_bar(before)
