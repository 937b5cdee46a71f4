"""The temporary files of a search, and of one before it that was killed."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from keras_nnx.tuning.searches.folder import Folder, write_json
from keras_nnx.tuning.searches.temporary import temporary_place


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    return Folder(tmp_path / "out")


def test_it_is_removed(folder):
    with temporary_place(folder) as place:
        (place / "words.txt").write_text("words")
    assert not place.exists()


def test_what_a_killed_search_left_is_removed(folder):
    left = Path(tempfile.mkdtemp(prefix="keras_nnx_search_"))
    (left / "words.txt").write_text("words")
    write_json(folder.state / "temporary.json", str(left))
    with temporary_place(folder) as place:
        assert place != left
        assert not left.exists()


@pytest.mark.parametrize("name", ["tmp/other", "keras_nnx_search_other", "tmp/../other/keras_nnx_search_1"])
def test_what_is_of_no_search_stays(folder, tmp_path, name):
    """The folder of a search may come from anybody."""
    other = tmp_path / name
    other.mkdir(parents=True)
    for written in (str(other), "", [str(other)], {"path": str(other)}):
        write_json(folder.state / "temporary.json", written)
        with temporary_place(folder):
            assert other.exists()


def test_a_link_is_not_followed(folder, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    link = tmp_path / "tmp/keras_nnx_search_link"
    link.symlink_to(other)
    write_json(folder.state / "temporary.json", str(link))
    with temporary_place(folder):
        assert other.exists()
