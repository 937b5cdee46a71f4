"""The demonstration at its real size: what it must reach, in the files that it writes."""

import html.parser
import io
import json
import re

import numpy as np
import pytest
from rich.console import Console

import keras_nnx as nnx
from keras_nnx.demo.configuration import DEFAULT_EPOCHS, Configuration
from keras_nnx.demo.evaluation import accuracy, confusion_matrix, mistakes
from keras_nnx.demo.pictures import curves_svg, picture_png
from keras_nnx.demo.run import run_demo

REACHED = {"resnet": 0.975, "vit": 0.96}


@pytest.fixture(scope="module", params=sorted(REACHED))
def finished(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TFDS_DATA_DIR", str(folder / "tfds"))
        configuration = Configuration(request.param, folder / "out", DEFAULT_EPOCHS[request.param])
        run_demo(configuration, Console(file=io.StringIO()))
    return request.param, folder / "out"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_demo_reaches_its_accuracy_and_proves_every_artifact(finished):
    model, out = finished
    report = json.loads((out / "report.json").read_text())
    assert report["test_accuracy"] >= REACHED[model]
    kinds = [(row["precision"], row["format"]) for row in report["artifacts"]]
    assert kinds == [
        ("float32", "saved_model"),
        ("float32", "onnx"),
        ("float32", "tflite"),
        ("int8", "onnx"),
        ("int8", "tflite"),
    ]
    for row in report["artifacts"]:
        assert row["parity"]["passed"]
        assert row["latency_ms"]["p95"] >= row["latency_ms"]["median"] > 0
        if row["precision"] == "float32":
            assert row["test_accuracy"] == report["test_accuracy"]
        else:
            assert row["test_accuracy"] >= report["test_accuracy"] - 0.01
    assert np.sum(report["confusion_matrix"]) == 270
    assert np.trace(report["confusion_matrix"]) == round(270 * report["test_accuracy"])
    assert len(report["mistakes"]) == 270 - np.trace(report["confusion_matrix"])
    for precision in ("float32", "int8"):
        assert nnx.verify_export(out / precision).proven
    assert len(list((out / "samples").iterdir())) == 10


class Addresses(html.parser.HTMLParser):
    """Collects every address that a browser would load, and the tags that are left open."""

    VOID = ("meta", "img", "link", "br", "input")

    def __init__(self):
        super().__init__()
        self.loaded, self.open = [], []

    def handle_starttag(self, tag, attributes):
        if tag not in self.VOID:
            self.open.append(tag)
        self.loaded += [value for name, value in attributes if name in ("src", "href", "xlink:href", "data", "srcset")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_page_is_whole_and_loads_nothing(finished):
    _, out = finished
    page = (out / "report.html").read_text()
    parser = Addresses()
    parser.feed(page)
    assert parser.open == []
    assert not [address for address in parser.loaded if not address.startswith(("data:", "#"))]
    assert not re.search(r"url\(\s*['\"]?(?!#)|@import|<script", page)
    for heading in (
        "Artifacts",
        "Learning curves",
        "Confusion matrix",
        "Misclassified",
        "Configuration",
        "Environment",
    ):
        assert heading in page


def test_accuracy_confusion_and_mistakes():
    scores = np.array([[0.9, 0.1], [0.4, 0.6], [0.8, 0.2], [0.3, 0.7]])
    labels = np.array([0, 1, 1, 0])
    assert accuracy(scores, labels) == 0.5
    assert confusion_matrix(scores, labels) == [[1, 1], [1, 1]]
    found = mistakes(scores, labels, np.zeros((4, 2, 2, 1)))
    assert [(row.expected, row.predicted, row.score) for row in found] == [(1, 0, 0.8), (0, 1, 0.7)]


def test_curves_of_a_single_epoch_can_be_drawn():
    names = ("loss", "val_loss", "accuracy", "val_accuracy")
    drawing = curves_svg({name: [0.5] for name in names}, 1)
    assert drawing.startswith("<svg")
    assert "<metadata" not in drawing


def test_pictures_in_grey_and_colour():
    from PIL import Image

    for shape in ((8, 8, 1), (8, 8, 3)):
        pixels = np.random.default_rng(0).integers(0, 256, shape).astype("float32")
        shown = np.asarray(Image.open(io.BytesIO(picture_png(pixels)))).reshape(shape)
        np.testing.assert_array_equal(shown, pixels)
