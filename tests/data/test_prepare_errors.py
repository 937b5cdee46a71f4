"""What a folder can do wrong, said in one line."""

import pytest

from keras_nnx.data import DatasetFolderError, UnknownDatasetError, load


def test_a_file_in_place_of_the_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DatasetFolderError, match=r"digits.*cannot be prepared or read in .*file.*another folder"):
        load("digits", data_dir=tmp_path / "file")


def test_damaged_data_say_what_to_delete(tmp_path):
    load("digits", data_dir=tmp_path)
    for path in tmp_path.rglob("*tfrecord*"):
        path.write_bytes(b"damaged" * 100)
    with pytest.raises(DatasetFolderError, match="delete it there to prepare it anew"):
        load("digits", data_dir=tmp_path)


def test_a_damaged_description(tmp_path):
    load("digits", data_dir=tmp_path)
    for path in tmp_path.rglob("dataset_info.json"):
        path.write_text("{")
    with pytest.raises(DatasetFolderError, match="delete it there"):
        load("digits", data_dir=tmp_path)


def test_a_version_that_does_not_exist(tmp_path):
    with pytest.raises(UnknownDatasetError, match=r"digits:9\.9\.9"):
        load("digits:9.9.9", data_dir=tmp_path)
