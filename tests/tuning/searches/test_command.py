"""`keras-nnx search`: what it refuses, and how it says so."""

from __future__ import annotations

import json
import socket

import pytest

from keras_nnx.cli import main
from keras_nnx.tuning.searches.address import check_free, read_address
from keras_nnx.tuning.searches.collect import add_seconds, begin, check_same
from keras_nnx.tuning.searches.configuration import Configuration
from keras_nnx.tuning.searches.folder import Folder, write_json
from keras_nnx.tuning.searches.named import find_attribute, find_data
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
        (["--space", "quits.py:space"], "worker-1 ended before its time"),
    ],
)
def test_what_only_the_worker_finds(tiny, arguments, message):
    (tiny / "quits.py").write_text("import os\nos._exit(0)")
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
        (["--space", "no_such_file.py:space"], "There is no file no_such_file.py."),
        (["--data", "no_such_file.py:data"], "There is no file no_such_file.py."),
        (["--data", "no_such_file.npz"], "There is no file no_such_file.npz."),
        (["--objective", "latency"], "Did you mean latency_ms?"),
        (["--listen", "127.0.0.1"], "write host:port"),
        (["--listen", ":5000"], "write host:port"),
        (["--listen", "127.0.0.1:99999"], "write host:port"),
        (["--listen", "127.0.0.1:http"], "write host:port"),
        (["--listen", "::1:5000"], "write host:port"),
    ],
)
def test_refused_at_once(tmp_path, capsys, arguments, message):
    assert main(["search", "--out", str(tmp_path / "out"), *arguments]) == 1
    assert message in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "out").exists()


def test_an_address_that_is_taken(tmp_path, capsys):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = f"127.0.0.1:{other.getsockname()[1]}"
        assert main(["search", "--out", str(tmp_path / "out"), "--listen", address]) == 1
    assert f"cannot listen at {address}: Address already in use" in " ".join(capsys.readouterr().err.split())
    read_address("[::1]:0")
    check_free(address)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = 1\nb = (", r"SyntaxError: .*broken.py, line 2"),
        ("a = 1\nspace = {}['b']", r"KeyError: 'b' \(.*broken.py, line 2\)"),
        ("import sys\n\nsys.exit(0)", r"it ends the process with exit\(0\) \(.*broken.py, line 3\)"),
        ("import keras_nnx as nnx\nnnx.tuning.space(print, depth=nnx.tuning.Int(3, 1))", r".*low bound.*line 2\)"),
        ("import no_such_module", r"ModuleNotFoundError: .*no_such_module.*line 1\)"),
    ],
)
def test_files_that_are_broken(tmp_path, text, message):
    path = tmp_path / "broken.py"
    path.write_text(text)
    for _ in range(2):
        with pytest.raises(ValueError, match=rf"broken.py cannot be used: {message}"):
            find_attribute(f"{path}:space")
    path.write_text("space = 3")
    assert find_attribute(f"{path}:space") == 3


def test_functions_that_are_broken(tmp_path):
    (tmp_path / "functions.py").write_text("def data():\n    return {}['rows']\n")
    with pytest.raises(ValueError, match=r"functions.py:data cannot be used: KeyError: 'rows' \(.*, line 2\)"):
        find_data(f"{tmp_path}/functions.py:data", 0)
    with pytest.raises(ValueError, match="there is no module no_such_module"):
        find_data("no_such_module:data", 0)


def test_out_is_a_file(tmp_path, capsys):
    (tmp_path / "out").write_text("words")
    assert main(["search", "--out", str(tmp_path / "out")]) == 1
    assert "is a file: name a directory" in " ".join(capsys.readouterr().err.split())


def test_a_folder_in_use(tmp_path):
    told = []
    with (
        Folder(tmp_path).locked(),
        pytest.raises(ValueError, match="used by another search"),
        Folder(tmp_path).locked(patience=0.3, tell=told.append),
    ):
        pass
    assert told == [f"{tmp_path} is in use: waiting up to 0 s for an earlier search to end."]
    with Folder(tmp_path).locked(patience=0.3, tell=told.append):
        pass
    assert len(told) == 1


def test_a_search_that_was_refused_may_be_mended(tmp_path):
    """Nothing has been tried yet: there is nothing that another question could spoil."""
    folder, wrong = Folder(tmp_path / "out"), Configuration("rows.py:spaec", "rows.py:data")
    begin(folder, wrong)
    write_json(folder.space, {"space": "the old one"})
    right = Configuration("rows.py:space", "rows.py:data")
    assert begin(folder, right) == 0
    assert not folder.space.exists()
    folder.trial("0").mkdir(parents=True)
    with pytest.raises(ValueError, match=r"another search, by its space \(rows.py:space before, rows.py:spaec now\)"):
        begin(folder, wrong)
    with pytest.raises(ValueError, match=r"differs in its space .*: give the same options as where it was started"):
        check_same(folder, wrong, folder.read_search(), joining=True)


def test_sessions_are_added_up(tmp_path):
    folder = Folder(tmp_path)
    begin(folder, Configuration("a", "b"))
    add_seconds(folder, 2.5)
    add_seconds(folder, 3.0)
    assert folder.read_search()["seconds"] == 5.5


def test_help_teaches(capsys):
    main(["search", "--help"])
    text = capsys.readouterr().out
    assert "latency_ms<=" in text
    assert json.dumps("latency_ms<=2") in text or "latency_ms<=2" in text
