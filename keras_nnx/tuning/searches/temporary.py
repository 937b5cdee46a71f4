"""A place for the temporary files of all processes of a search, which is removed also after they were killed."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from keras_nnx.tuning.searches.folder import Folder, read_json, write_json

_PREFIX = "keras_nnx_search_"


@contextlib.contextmanager
def temporary_place(folder: Folder) -> Iterator[Path]:
    """Yield a temporary folder, and remove it, and one that a killed search has left.

    Args:
        folder: Of the search, which this process has locked.
    """
    note = folder.state / "temporary.json"
    _remove_left(read_json(note))
    with tempfile.TemporaryDirectory(prefix=_PREFIX, ignore_cleanup_errors=True) as place:
        write_json(note, place)
        try:
            yield Path(place)
        finally:
            note.unlink(missing_ok=True)


def _remove_left(written: object) -> None:
    """Remove what is of a search here; what is written may come from anywhere."""
    if not isinstance(written, str):
        return
    left = Path(written)
    ours = left.parent == Path(tempfile.gettempdir()) and left.name.startswith(_PREFIX)
    if ours and left.is_dir() and not left.is_symlink():
        shutil.rmtree(left, ignore_errors=True)
