"""Whole directories or nothing: written beside, then put in place at once."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from keras_nnx.export.errors import OutputDirectoryError

_PARTIAL = "partial"
_REPLACED = "replaced"
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


@contextlib.contextmanager
def staged_directory(directory: Path, *, overwrite: bool, ours: Callable[[Path], bool]) -> Iterator[Path]:
    """Yield an empty directory beside `directory`, which takes its place when the block ends well.

    Whatever ends the block early, `directory` stays as it was. What a killed process left behind is cleared away by
    the next one.

    Args:
        directory: Where the result belongs.
        overwrite: Whether a directory that is not empty is replaced.
        ours: Tells whether a directory was written by this package: no other is ever replaced.

    Raises:
        OutputDirectoryError: If the directory may not be replaced, or cannot be written.
    """
    directory = Path(os.path.abspath(directory))  # noqa: PTH100  (resolve() would follow a link)
    _clear_leftovers(directory)
    check_replaceable(directory, overwrite=overwrite, ours=ours)
    stage = _beside(directory, _PARTIAL)
    try:
        stage.mkdir(parents=True)
    except OSError as error:
        raise OutputDirectoryError(f"{directory} cannot be written: {error.strerror or error}.") from error
    try:
        yield stage
        check_replaceable(directory, overwrite=overwrite, ours=ours)
        _publish(stage, directory)
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def check_replaceable(directory: Path, *, overwrite: bool, ours: Callable[[Path], bool]) -> None:
    """Raise unless `directory` is absent, empty, or ours and to be overwritten."""
    if directory.is_symlink():
        raise OutputDirectoryError(f"{directory} is a link: name the directory itself.")
    if not directory.exists():
        return
    if not directory.is_dir():
        raise OutputDirectoryError(f"{directory} is a file: name a directory.")
    try:
        if not any(directory.iterdir()):
            return
    except OSError as error:
        raise OutputDirectoryError(f"{directory} cannot be read: {error.strerror or error}.") from error
    if not overwrite:
        raise OutputDirectoryError(
            f"{directory} is not empty: pass overwrite=True (on the command line --overwrite), or name another."
        )
    if not ours(directory):
        raise OutputDirectoryError(
            f"{directory} holds files that keras_nnx did not write, and is not overwritten: name another directory."
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
    directory.rename(old)
    stage.rename(directory)
    shutil.rmtree(old, ignore_errors=True)


def _exchange(first: Path, second: Path) -> bool:
    """Swap two directories atomically; False where the system or the file system cannot."""
    if not sys.platform.startswith("linux"):
        return False
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        return False
    return renameat2(_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _RENAME_EXCHANGE) == 0


def _beside(directory: Path, kind: str) -> Path:
    return directory.with_name(f".{directory.name}.{kind}-{os.getpid()}-{secrets.token_hex(4)}")


def _clear_leftovers(directory: Path) -> None:
    """Remove what processes that are gone left beside `directory`; put back what they had moved away."""
    if not directory.parent.is_dir():
        return
    for kind in (_REPLACED, _PARTIAL):
        prefix = f".{directory.name}.{kind}-"
        for leftover in [path for path in directory.parent.iterdir() if path.name.startswith(prefix)]:
            process = leftover.name.removeprefix(prefix).partition("-")[0]
            if not process.isdigit() or _is_running(int(process)):
                continue
            if kind == _REPLACED and not directory.exists():
                leftover.rename(directory)
            else:
                shutil.rmtree(leftover, ignore_errors=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
