import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import pytest

import keras_nnx as nnx
from keras_nnx.export import ExportError, OutputDirectoryError, directories
from keras_nnx.export.directories import staged_directory


def foreign(directory):
    return None if (directory / "mark").exists() else "something"


def fill(directory, text, **options):
    with staged_directory(directory, overwrite=True, foreign=foreign, **options) as stage:
        (stage / "mark").write_text(text)


def test_the_directory_appears_when_the_block_ends(tmp_path):
    with staged_directory(tmp_path / "a" / "b", overwrite=False, foreign=foreign) as stage:
        (stage / "mark").write_text("1")
        assert not (tmp_path / "a" / "b").exists()
    assert (tmp_path / "a" / "b" / "mark").read_text() == "1"
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]


def test_an_empty_directory_is_used(tmp_path):
    fill(tmp_path, "1")
    assert (tmp_path / "mark").read_text() == "1"


@pytest.mark.parametrize("exchanges", [True, False])
def test_replacement_with_and_without_an_atomic_exchange(tmp_path, monkeypatch, exchanges):
    if not exchanges:
        monkeypatch.setattr(directories, "_exchange", lambda first, second: False)
    fill(tmp_path / "x", "old")
    fill(tmp_path / "x", "new")
    assert (tmp_path / "x" / "mark").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


@pytest.mark.parametrize("exchanges", [True, False])
def test_an_interrupt_while_the_old_directory_is_removed_leaves_nothing(tmp_path, monkeypatch, exchanges):
    if not exchanges:
        monkeypatch.setattr(directories, "_exchange", lambda first, second: False)
    fill(tmp_path / "x", "old")
    remove = shutil.rmtree

    def interrupted(path, **options):
        signal.raise_signal(signal.SIGINT)
        remove(path, **options)

    monkeypatch.setattr(directories.shutil, "rmtree", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fill(tmp_path / "x", "new")
    assert (tmp_path / "x" / "mark").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, SystemExit])
def test_whatever_ends_the_block_leaves_nothing(tmp_path, error):
    fill(tmp_path / "x", "old")
    with pytest.raises(error), staged_directory(tmp_path / "x", overwrite=True, foreign=foreign) as stage:  # noqa: PT012
        (stage / "mark").write_text("half")
        raise error
    assert (tmp_path / "x" / "mark").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_refusals(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path)
    for name, message in (("file", "is a file"), ("link", "is a link"), ("", "not empty")):
        with (
            pytest.raises(OutputDirectoryError, match=message),
            staged_directory(tmp_path / name, overwrite=False, foreign=foreign),
        ):
            pytest.fail("the block was entered")
    with (
        pytest.raises(OutputDirectoryError, match="cannot be written"),
        staged_directory(tmp_path / "file" / "x", overwrite=False, foreign=foreign),
    ):
        pytest.fail("the block was entered")


@pytest.mark.parametrize("name", ["runs [old]", "what?", "all*", "back\\slash", "in [one]/it"])
def test_names_that_tensorflow_takes_for_patterns(tmp_path, name):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    with pytest.raises(OutputDirectoryError, match=r"takes for a pattern.*leave saved_model out"):
        nnx.export_model(model, tmp_path / name, formats=("onnx", "saved_model"))
    assert not list(tmp_path.iterdir())
    assert nnx.export_model(model, tmp_path / name, formats=("onnx",)).proven


def test_what_someone_else_wrote_meanwhile_is_kept(tmp_path):
    def race():
        with staged_directory(tmp_path / "x", overwrite=False, foreign=foreign):
            (tmp_path / "x").mkdir()
            (tmp_path / "x" / "theirs").write_text("kept")

    with pytest.raises(OutputDirectoryError, match="not empty"):
        race()
    assert (tmp_path / "x" / "theirs").read_text() == "kept"


def test_leftovers_of_dead_processes_are_cleared(tmp_path):
    dead = tmp_path / ".x.partial-0"
    dead.mkdir()
    fill(tmp_path / "x", "1")
    assert not dead.exists()


def test_a_directory_that_is_being_written_is_refused_at_once(tmp_path):
    with staged_directory(tmp_path / "x", overwrite=True, foreign=foreign) as stage:
        with pytest.raises(OutputDirectoryError, match="being written by another process"):
            fill(tmp_path / "x", "2")
        (stage / "mark").write_text("1")
    assert (tmp_path / "x" / "mark").read_text() == "1"


def test_a_directory_moved_away_by_a_dead_process_comes_back(tmp_path):
    fill(tmp_path / "x", "old")
    (tmp_path / "x").rename(tmp_path / ".x.replaced-0")
    with (
        pytest.raises(ValueError),  # noqa: PT011
        staged_directory(tmp_path / "x", overwrite=True, foreign=foreign),
    ):
        raise ValueError
    assert (tmp_path / "x" / "mark").read_text() == "old"


def test_a_failure_takes_back_the_parents_that_it_made(tmp_path):
    with pytest.raises(KeyError), staged_directory(tmp_path / "a" / "b" / "x", overwrite=False, foreign=foreign):
        raise KeyError
    assert not any(tmp_path.iterdir())


def test_the_current_directory_and_mount_points_are_refused(tmp_path, monkeypatch):
    (tmp_path / "here" / "below").mkdir(parents=True)
    for place in (tmp_path / "here", tmp_path / "here" / "below"):
        monkeypatch.chdir(place)
        with pytest.raises(OutputDirectoryError, match="where this process works"):
            fill(tmp_path / "here", "1")
    with pytest.raises(OutputDirectoryError, match="mount point"):
        fill(Path("/proc"), "1")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), OutputDirectoryError),
        (RuntimeError("x; No space left on device"), OutputDirectoryError),
        (RuntimeError("other"), RuntimeError),
        (ExportError("other"), ExportError),
    ],
)
def test_a_full_disk_is_one_error(error, expected, tmp_path):
    with pytest.raises(expected) as caught, directories.writing_to(tmp_path):
        raise error
    assert type(caught.value) is expected


@pytest.mark.multiprocess
def test_kills_at_random_moments_leave_a_whole_directory(tmp_path):
    """Each writer replaces the directory again and again, with 50 files that all hold the same text."""
    program = """
import itertools, sys
from pathlib import Path
from keras_nnx.export.directories import staged_directory
print("ready", flush=True)
for turn in itertools.count():
    with staged_directory(Path(sys.argv[1]), overwrite=True, foreign=lambda path: None) as stage:
        for index in range(50):
            (stage / str(index)).write_text(f"{sys.argv[2]} {turn}")
"""
    # The package's modules without their packages, so that a writer starts in a moment and not after TensorFlow.
    stand_in = tmp_path / "stand_in" / "keras_nnx" / "export"
    stand_in.mkdir(parents=True)
    source = Path(directories.__file__).parent
    for name in ("directories.py", "errors.py", "interrupts.py"):
        (stand_in / name).symlink_to(source / name)
    target = tmp_path / "out" / "x"
    target.parent.mkdir()
    for turn in range(20):
        writer = subprocess.Popen(
            [sys.executable, "-c", program, str(target), str(turn)],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(tmp_path / "stand_in")},
            cwd=tmp_path,
        )
        assert writer.stdout.readline() == b"ready\n"
        deadline = time.monotonic() + 0.02 + 0.005 * turn
        while time.monotonic() < deadline:
            pass
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        if target.exists():
            contents = {path.read_text() for path in target.iterdir()}
            assert len(contents) == 1
            assert len(list(target.iterdir())) == 50
    assert target.exists()
    assert len([path for path in target.parent.iterdir() if path != target]) <= 1
