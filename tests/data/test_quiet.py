"""When TensorFlow Datasets may write to the terminal."""

import io
import logging
import sys

import pytest
from tensorflow_datasets.core.utils import tqdm_utils

from keras_nnx.data._quiet import quiet


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("stderr", "progress", "shown"),
    [(Terminal(), True, True), (Terminal(), False, False), (io.StringIO(), True, False), (None, True, False)],
)
def test_progress_shows_only_in_a_terminal(monkeypatch, stderr, progress, shown):
    monkeypatch.setattr("sys.stderr", stderr)
    with quiet(progress=progress):
        sys.stdout.write("message")
        for _ in tqdm_utils.tqdm(range(2), desc="bar"):
            pass
    written = stderr.getvalue() if stderr else ""
    assert ("message" in written, "bar" in written) == (shown, shown)


def test_everything_is_as_before_afterwards(capsys):
    level = logging.getLogger("absl").level
    with pytest.raises(KeyError), quiet():
        {}["missing"]
    sys.stdout.write("shown")
    assert logging.getLogger("absl").level == level
    assert tqdm_utils._active is True
    assert capsys.readouterr().out == "shown"
