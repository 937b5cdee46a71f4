"""`keras-nnx search`: what it refuses, and how it says so."""

from __future__ import annotations

import json

import pytest

from keras_nnx.cli import main
from tests.tuning.searches.running import finished, none_left

pytestmark = [pytest.mark.multiprocess, pytest.mark.timeout(600)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--space", "tiny.py:number"], "what nnx.tuning.space returns"),
        (["--space", "tiny.py:missing"], "has no 'missing'; it has"),
        (["--data", "mnisst"], "mnisst"),
        (["--objective", "val_recall"], "val_loss, val_accuracy"),
    ],
)
def test_what_only_the_worker_finds(tiny, arguments, message):
    done = finished(tiny, *arguments)
    assert done.returncode == 1
    assert message in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert none_left(tiny)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--space", "vitt"], "Did you mean vit? There are vit, resnet, convnext, blocks"),
        (["--objective", "val_mystery"], "val_loss, val_accuracy"),
        (["--objective", "latency"], "latency_ms, size_mb"),
        (["--constraint", "latency<=2"], "latency_ms, size_mb"),
        (["--constraint", "latency_ms"], "such as latency_ms<=2"),
        (["--constraint", "latency_ms<=1", "--constraint", "latency_ms>=2"], "contradict each other"),
        (["--constraint", "val_accuracy>=95"], "write 0.95 for 95%"),
    ],
)
def test_refused_at_once(tmp_path, capsys, arguments, message):
    assert main(["search", "--out", str(tmp_path / "out"), *arguments]) == 1
    assert message in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "out").exists()


def test_out_is_a_file(tmp_path, capsys):
    (tmp_path / "out").write_text("words")
    assert main(["search", "--out", str(tmp_path / "out")]) == 1
    assert "is a file: name a directory" in " ".join(capsys.readouterr().err.split())


def test_a_folder_in_use(tmp_path, monkeypatch):
    from keras_nnx.tuning.searches.folder import Folder

    with (
        Folder(tmp_path).locked(),
        pytest.raises(ValueError, match="used by another search"),
        Folder(tmp_path).locked(patience=0.3),
    ):
        pass
    with Folder(tmp_path).locked(patience=0.3):
        pass


def test_help_teaches(capsys):
    main(["search", "--help"])
    text = capsys.readouterr().out
    assert "latency_ms<=" in text
    assert json.dumps("latency_ms<=2") in text or "latency_ms<=2" in text
