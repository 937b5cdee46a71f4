"""Whole directories or nothing: written beside, then put in place at once."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from keras_nnx.export.errors import ExportError, OutputDirectoryError
from keras_nnx.export.interrupts import held_back, kept

_PARTIAL = "partial"
_REPLACED = "replaced"
_PATTERN = "*?[\\"
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2

_FULL = os.strerror(errno.ENOSPC)

Foreign = Callable[[Path], str | None]


@contextlib.contextmanager
def staged_directory(directory: Path, *, overwrite: bool, foreign: Foreign) -> Iterator[Path]:
    """Yield an empty directory beside `directory`, which takes its place when the block ends well.

    Whatever ends the block early, `directory` and its parents stay as they were. What a killed process left behind is
    cleared away by the next one.

    Args:
        directory: Where the result belongs.
        overwrite: Whether a directory that is not empty is replaced.
        foreign: Names something in a directory that this package did not write, or None; with it, nothing is replaced.

    Raises:
        OutputDirectoryError: If the directory may not be replaced, cannot be written, or is being written.
    """
    directory = Path(os.path.abspath(directory))  # noqa: PTH100  (resolve() would follow a link)
    _clear_leftovers(directory)
    check_replaceable(directory, overwrite=overwrite, foreign=foreign)
    missing = [parent for parent in directory.parents if not parent.exists()]
    stage = _beside(directory, _PARTIAL)
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        lock = _make_locked(stage)
    except OSError as error:
        raise OutputDirectoryError(f"{directory} cannot be written: {error.strerror or error}.") from error
    try:
        with kept():
            yield stage
        check_replaceable(directory, overwrite=overwrite, foreign=foreign)
        with held_back():
            _publish(stage, directory)
    finally:
        with held_back():
            shutil.rmtree(stage, ignore_errors=True)
            os.close(lock)
            for parent in missing:
                with contextlib.suppress(OSError):  # it is not empty: the result, or something else, is in it
                    parent.rmdir()


def check_name(directory: Path, formats: Sequence[str]) -> None:
    """Raise if TensorFlow would not find a SavedModel in a directory.

    Raises:
        OutputDirectoryError: If the path has what TensorFlow takes for a pattern.
    """
    found = [sign for sign in _PATTERN if sign in os.path.abspath(directory)]  # noqa: PTH100
    if found and "saved_model" in formats:
        raise OutputDirectoryError(
            f"{directory} has {' and '.join(found)} in its path, which TensorFlow takes for a pattern, so that it "
            f"would not find the SavedModel there: name another directory, or leave saved_model out."
        )


@contextlib.contextmanager
def writing_to(directory: Path) -> Iterator[None]:
    """Turn what a full or failing disk raises inside the block, each library in its own way, into one error."""
    try:
        yield
    except (ExportError, FileNotFoundError):
        raise
    except OSError as error:
        raise OutputDirectoryError(f"{directory} cannot be written: {error.strerror or error}.") from error
    except Exception as error:
        if _FULL not in str(error):
            raise
        raise OutputDirectoryError(f"{directory} cannot be written: {_FULL}.") from error


def check_replaceable(directory: Path, *, overwrite: bool, foreign: Foreign) -> None:
    """Raise unless `directory` is absent, empty, or ours and to be overwritten."""
    if directory.is_symlink():
        raise OutputDirectoryError(f"{directory} is a link: name the directory itself.")
    if not directory.exists():
        return
    if not directory.is_dir():
        raise OutputDirectoryError(f"{directory} is a file: name a directory.")
    if directory.is_mount():
        raise OutputDirectoryError(f"{directory} is a mount point, which cannot be replaced: name a directory in it.")
    if Path.cwd().is_relative_to(directory.resolve()):
        raise OutputDirectoryError(f"{directory} is where this process works, and is not replaced: name another.")
    try:
        if not any(directory.iterdir()):
            return
    except OSError as error:
        raise OutputDirectoryError(f"{directory} cannot be read: {error.strerror or error}.") from error
    if not overwrite:
        raise OutputDirectoryError(
            f"{directory} is not empty: pass overwrite=True (on the command line --overwrite), or name another."
        )
    entry = foreign(directory)
    if entry is not None:
        raise OutputDirectoryError(
            f"{directory} holds {entry}, which keras_nnx did not write, and is not overwritten: move it away, or name "
            f"another directory."
        )


def _publish(stage: Path, directory: Path) -> None:
    """Put `stage` in the place of `directory`, in one step where the system has one."""
    try:
        stage.rename(directory)  # works where it is absent or empty
        return
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
    if _exchange(stage, directory):
        return
    old = _beside(directory, _REPLACED)
    lock = _lock(directory)  # until it is gone: a process that starts now would put it back
    directory.rename(old)
    stage.rename(directory)
    shutil.rmtree(old, ignore_errors=True)
    if lock is not None:
        os.close(lock)


def _exchange(first: Path, second: Path) -> bool:
    """Swap two directories atomically; False where the system or the file system cannot."""
    if not sys.platform.startswith("linux"):
        return False
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        return False
    return renameat2(_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _RENAME_EXCHANGE) == 0


def _beside(directory: Path, kind: str) -> Path:
    return directory.with_name(f".{directory.name}.{kind}-{secrets.token_hex(4)}")


def _make_locked(stage: Path) -> int:
    """Make the directory `stage` and lock it, so that no other process takes it for a leftover."""
    while True:
        stage.mkdir()
        lock = _lock(stage)
        if lock is None:  # another process cleared it between the two steps
            continue
        if stage.exists() and os.fstat(lock).st_ino == stage.stat().st_ino:
            return lock
        os.close(lock)


def _lock(directory: Path) -> int | None:
    """Return an open descriptor that holds the lock of `directory`; None if another process holds it or it is gone.

    The system lets go of it when the process ends, however it ends.
    """
    try:
        descriptor = os.open(directory, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _clear_leftovers(directory: Path) -> None:
    """Remove what processes that are gone left beside `directory`; put back what they had moved away.

    Raises:
        OutputDirectoryError: If another process is writing `directory` now.
    """
    if not directory.parent.is_dir():
        return
    for kind in (_REPLACED, _PARTIAL):
        prefix = f".{directory.name}.{kind}-"
        for leftover in [path for path in directory.parent.iterdir() if path.name.startswith(prefix)]:
            lock = _lock(leftover)
            if lock is None:
                if leftover.exists():
                    raise OutputDirectoryError(
                        f"{directory} is being written by another process: wait, or name another."
                    )
                continue
            if kind == _REPLACED and not directory.exists():
                leftover.rename(directory)
            else:
                shutil.rmtree(leftover, ignore_errors=True)
            os.close(lock)
