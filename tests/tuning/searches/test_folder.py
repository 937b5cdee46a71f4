"""Folders that hold something else than a whole search."""

import keras
import numpy as np
import pytest

import keras_nnx as nnx
from keras_nnx.tuning.searches.collect import begin, clear
from keras_nnx.tuning.searches.configuration import Configuration
from keras_nnx.tuning.searches.folder import Folder


def test_something_else_in_the_folder(tmp_path):
    (tmp_path / "search").mkdir()
    (tmp_path / "search" / "thesis.txt").write_text("words")
    space = nnx.tuning.space(keras.Sequential, layers=nnx.tuning.Choice({"one": [], "two": []}))
    rows = np.zeros((4, 2), "float32"), np.arange(4) % 2
    for overwrite in (False, True):
        with pytest.raises(ValueError, match=r"holds thesis.txt, and no search"):
            nnx.tuning.search(space, rows, tmp_path / "search", overwrite=overwrite)
    assert (tmp_path / "search" / "thesis.txt").exists()


def test_a_search_json_that_is_cut_off(tmp_path):
    folder, asked = Folder(tmp_path / "search"), Configuration("vit", "digits", trials=3)
    folder.state.mkdir(parents=True)
    begin(folder, asked)
    folder.search.write_text(folder.search.read_text()[:30])
    assert begin(folder, asked) == 0
    folder.trials.mkdir()
    with pytest.raises(ValueError, match="another search"):
        begin(folder, Configuration("resnet", "digits"))


def test_a_search_json_of_something_else(tmp_path):
    (tmp_path / "search.json").write_text('{"mine": 1}')
    (tmp_path / "best").mkdir()
    (tmp_path / "best" / "thesis.txt").write_text("words")
    folder = Folder(tmp_path)
    for call in (lambda: begin(folder, Configuration("vit", "digits")), lambda: clear(folder)):
        with pytest.raises(ValueError, match="is there, and is not of a search"):
            call()
    assert (tmp_path / "best" / "thesis.txt").exists()
