import json
import os
import shutil

import numpy as np
import pytest

import keras_nnx as nnx
from keras_nnx.export import IntegrityError, OutputDirectoryError, ParityError
from keras_nnx.export.manifest import _digest, hash_files


@pytest.fixture
def copy(exported, tmp_path):
    return shutil.copytree(exported.directory, tmp_path / "copy")


def rewrite_manifest(directory, change):
    path = directory / "manifest.json"
    values = json.loads(path.read_text())
    del values["digest"]
    change(values)
    values["digest"] = _digest(values)
    path.write_text(json.dumps(values))


def test_a_copy_verifies_and_reports_the_same(copy, exported):
    report = nnx.verify_export(copy)
    assert report.proven
    assert report.signature == exported.signature
    assert report.artifacts["tflite"].sha256 == exported.artifacts["tflite"].sha256


@pytest.mark.parametrize(
    "name",
    [
        "model.onnx",
        "model.tflite",
        "saved_model/saved_model.pb",
        "saved_model/variables/variables.index",
        "saved_model/variables/variables.data-00000-of-00001",
        "probes.npz",
        "labels.txt",
        "manifest.json",
    ],
)
def test_one_changed_byte_is_caught(copy, name):
    path = copy / name
    content = bytearray(path.read_bytes())
    position = content.index(b"classifier") if name == "manifest.json" else len(content) // 2
    content[position] ^= 1
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match=r"changed|damaged"):
        nnx.verify_export(copy)


def test_missing_and_added_files_are_caught(copy):
    (copy / "extra.txt").write_text("x")
    with pytest.raises(IntegrityError, match=r"extra\.txt is not in the manifest"):
        nnx.verify_export(copy)
    (copy / "extra.txt").unlink()
    (copy / "model.onnx").unlink()
    with pytest.raises(IntegrityError, match=r"model\.onnx is missing"):
        nnx.verify_export(copy)
    (copy / "model.onnx").mkdir()
    with pytest.raises(IntegrityError, match=r"model\.onnx is"):
        nnx.verify_export(copy)


def test_another_models_artifact_is_caught_even_with_matching_hashes(copy, classifier, tmp_path):
    import keras

    other = keras.models.clone_model(classifier)
    other.build((None, 8, 8, 1))
    nnx.export_model(other, tmp_path / "other", formats=("onnx",), verify=False)
    shutil.copy(tmp_path / "other" / "model.onnx", copy / "model.onnx")
    digest, size, files = hash_files(copy, "model.onnx")
    rewrite_manifest(
        copy, lambda values: values["artifacts"]["onnx"].update(sha256=digest, size_bytes=size, files=files)
    )
    with pytest.raises(ParityError, match="onnx: the output 'scores' differs"):
        nnx.verify_export(copy)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": "other"}', "not json"])
def test_a_manifest_that_is_none(tmp_path, content):
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(IntegrityError):
        nnx.verify_export(tmp_path)


def test_a_later_format_version_names_the_version_to_install(copy):
    rewrite_manifest(copy, lambda values: values.update(format_version=99))
    with pytest.raises(IntegrityError, match=r"99.*Install the version"):
        nnx.verify_export(copy)


def test_a_path_in_the_manifest_leads_nowhere_else(copy):
    rewrite_manifest(copy, lambda values: values["artifacts"]["onnx"]["files"].update({"../../secret": "0"}))
    with pytest.raises(IntegrityError, match="missing"):
        nnx.verify_export(copy)


def test_a_directory_without_a_manifest(tmp_path):
    with pytest.raises(IntegrityError, match="no export directory"):
        nnx.verify_export(tmp_path / "nowhere")


def test_benchmark_measures_each_artifact(exported):
    report = nnx.benchmark_export(exported.directory, seconds=0.05, threads=2)
    assert all(artifact.latency_ms.runs >= 5 for artifact in report.artifacts.values())
    with pytest.raises(ValueError, match="at least one thread"):
        nnx.benchmark_export(exported.directory, threads=0)


def test_stored_probes_hold_the_models_own_answers(exported, classifier):
    with np.load(exported.directory / "probes.npz", allow_pickle=False) as archive:
        answer = np.asarray(classifier(archive["0/input/image"]))
        np.testing.assert_array_equal(archive["0/output/scores"], answer)


def test_verification_gives_no_latency_of_another_time(copy):
    report = nnx.verify_export(copy)
    assert all(artifact.latency_ms is None for artifact in report.artifacts.values())
    assert "median" not in str(report)


def test_a_directory_of_exports_names_them(copy):
    with pytest.raises(IntegrityError, match=r"Name one of the export directories in it: copy"):
        nnx.verify_export(copy.parent)


def test_a_longer_benchmark_has_more_samples(exported):
    short, long = (nnx.benchmark_export(exported.directory, seconds=seconds) for seconds in (0.02, 0.5))
    assert long.artifacts["tflite"].latency_ms.runs > short.artifacts["tflite"].latency_ms.runs
    assert long.artifacts["tflite"].latency_ms.runs > 200


@pytest.mark.parametrize("kind", ["link to a file", "dangling link", "empty directory", "fifo", "replaced by a link"])
def test_whatever_is_no_file_of_the_export_is_caught(copy, kind, tmp_path):
    extra = copy / "extra"
    if kind == "link to a file":
        extra.symlink_to(copy / "model.onnx")
    elif kind == "dangling link":
        extra.symlink_to(tmp_path / "nowhere")
    elif kind == "empty directory":
        extra.mkdir()
    elif kind == "fifo":
        os.mkfifo(extra)
    else:
        (copy / "model.onnx").rename(tmp_path / "elsewhere")
        (copy / "model.onnx").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(IntegrityError, match=r"extra is not in the manifest|model.onnx is a link"):
        nnx.verify_export(copy)


@pytest.mark.parametrize(
    "change",
    [
        lambda values: values.update(artifacts={}),
        lambda values: values.pop("artifacts"),
        lambda values: values["probes"].update(rows=[]),
        lambda values: values.update(format_version=1, versions=["x"]),
        lambda values: values["signature"].update(inputs=3),
    ],
)
def test_a_manifest_that_says_nothing_is_refused(copy, change):
    rewrite_manifest(copy, change)
    with pytest.raises(IntegrityError):
        nnx.verify_export(copy)


def test_deep_json_is_refused(tmp_path):
    (tmp_path / "manifest.json").write_text("[" * 200_000)
    with pytest.raises(IntegrityError):
        nnx.verify_export(tmp_path)


def test_files_of_others_are_never_overwritten(copy, classifier):
    (copy / "notes.txt").write_text("mine")
    with pytest.raises(OutputDirectoryError, match=r"notes.txt, which keras_nnx did not write"):
        nnx.export_model(classifier, copy, formats=("onnx",), overwrite=True)
    assert (copy / "notes.txt").read_text() == "mine"
