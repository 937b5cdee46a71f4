"""Sample grids, metrics of generated sets and the monitor, during training."""

import json

import keras
import numpy as np
import pytest
from PIL import Image

from keras_nnx import metrics
from keras_nnx.training import GANFindingKind, GANMonitor, GANWarning, GenerationMetrics, SampleGrid
from keras_nnx.training._grid import tiled
from tests.training.conftest import build_gan


class Says(keras.callbacks.Callback):
    """Puts values into the logs in front of the callback that reads them."""

    def __init__(self, **values):
        super().__init__()
        self.values = values

    def on_epoch_end(self, epoch, logs=None):
        logs.update({name: values[epoch] for name, values in self.values.items()})


def compiled(classes=None):
    gan = build_gan(classes)
    gan.compile(jit_compile=False)
    return gan


@pytest.mark.parametrize("classes", [None, 3])
def test_grids(classes, images, labels, tmp_path):
    gan = compiled(classes)
    grid = SampleGrid(tmp_path, rows=2, columns=5, every=2, log_dir=tmp_path / "logs")
    gan.fit(images, labels if classes else None, epochs=3, verbose=0, callbacks=[grid])
    assert sorted(path.name for path in tmp_path.glob("*.png")) == ["epoch_0000.png", "epoch_0002.png"]
    with Image.open(tmp_path / "epoch_0002.png") as picture:
        rows = classes or 2
        assert picture.size == (5 * 34 + 2, rows * 34 + 2)  # 2 x 2 pixels, enlarged, with gaps
        assert picture.mode == "L"
        assert len(picture.getcolors(1 << 16)) > 5
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path / "logs"), size_guidance={"tensors": 0}).Reload()
    assert [event.step for event in events.Tensors("samples")] == [0, 2]


def test_a_training_that_goes_on_leaves_the_first_grid(images, tmp_path):
    gan = compiled(None)
    gan.fit(images, epochs=1, verbose=0, callbacks=[SampleGrid(tmp_path)])
    before = (tmp_path / "epoch_0000.png").read_bytes()
    gan.fit(images, epochs=2, initial_epoch=1, verbose=0, callbacks=[SampleGrid(tmp_path)])
    assert (tmp_path / "epoch_0000.png").read_bytes() == before
    assert (tmp_path / "epoch_0002.png").exists()


def test_a_grid_is_what_it_shows():
    sheet = tiled(np.stack([np.full((40, 32, 1), value) for value in (-1.0, 0.0, 9.0)]), 2, -1, 1)
    assert sheet.shape == (2 * 42 + 2, 2 * 34 + 2, 1)
    assert [sheet[10, 10, 0], sheet[10, 50, 0], sheet[60, 10, 0], sheet[60, 50, 0], sheet[0, 0, 0]] == [
        0,
        128,
        255,
        255,
        255,
    ]


def test_grids_refuse_what_cannot_be_drawn(tmp_path):
    with pytest.raises(ValueError, match=r"value_range=\(1, 0\)"):
        SampleGrid(tmp_path, value_range=(1, 0))
    with pytest.raises(ValueError, match=r"SampleGrid\(columns=0\)"):
        SampleGrid(tmp_path, columns=0)


def test_metrics_are_measured_on_what_would_be_generated(images, labels):
    gan = compiled(3)
    watch = GenerationMetrics(
        {"frechet": metrics.FrechetDistance(), "overlap": metrics.PrecisionRecall()}, images, labels, every=2, seed=4
    )
    history = gan.fit(images, labels, epochs=4, verbose=0, callbacks=[watch]).history
    expected = metrics.FrechetDistance()
    expected.update_real(images)
    expected.update_generated(gan.generate(24, seed=4, labels=labels))
    assert history["frechet"][3] == pytest.approx(expected.result(), rel=1e-5)
    assert history["frechet"][1] == history["frechet"][2] != history["frechet"][3]
    assert {"overlap_precision", "overlap_recall"} <= set(history)
    assert watch.seconds > 0


@pytest.mark.parametrize(
    "callback", [GANMonitor, lambda *data: GenerationMetrics({"a": metrics.FrechetDistance()}, *data)]
)
def test_labels_belong_to_a_conditional_gan(callback, images, labels):
    with pytest.raises(ValueError, match="needs labels= for a conditional GAN"):
        compiled(3).fit(images, labels, verbose=0, callbacks=[callback(images)])
    with pytest.raises(ValueError, match="has labels, and the GAN none"):
        compiled().fit(images, verbose=0, callbacks=[callback(images, labels)])


def watched(monitor, images, epochs, **said):
    gan = compiled()
    history = gan.fit(images, epochs=epochs, verbose=0, callbacks=[Says(**said), monitor]) if said else None
    return gan, history


def test_variety_is_one_for_the_data_and_small_for_few_images(images):
    random = np.random.default_rng(0)
    real = np.tanh(random.normal(size=(400, 2, 2, 1))).astype("float32")
    found = {}
    for name, made in {
        "as varied": random.normal(size=(200, 2, 2, 1)),
        "half of it": np.abs(random.normal(size=(200, 2, 2, 1))) * [[[[1.0]], [[1.0]]]],
        "five images": random.normal(size=(5, 2, 2, 1)).repeat(40, 0),
        "one image": np.zeros((200, 2, 2, 1)),
    }.items():
        gan, monitor = compiled(), GANMonitor(real)
        gan.generate = lambda count, made=made, **_: np.tanh(made[:count]).astype("float32")
        found[name] = gan.fit(images, verbose=0, callbacks=[monitor]).history["variety"][0]
    assert 0.8 < found["as varied"] < 1.25
    assert found["one image"] < found["five images"] < 0.1 < found["half of it"] < 0.6


def fixed(gan, image):
    gan.generate = lambda count, **_: np.full((count, 2, 2, 1), image, "float32")
    return gan


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (GANFindingKind.DIVERGING, {"real_score": [5.0, 10.0, 20.0, 30.0, 31.0], "generated_score": [0.0] * 5}),
        (GANFindingKind.OVERPOWERED, {"discriminator_accuracy": [0.5, 1.0, 1.0, 0.995, 1.0]}),
    ],
)
def test_what_is_wrong_is_said_once_with_the_remedy(kind, said, images):
    monitor = GANMonitor(images, patience=3, collapse=0.01)
    with pytest.warns(GANWarning) as warned:
        compiled().fit(images, epochs=5, verbose=0, callbacks=[Says(**said), monitor])
    (finding,) = monitor.findings
    assert finding.kind is kind
    assert finding.epoch == 4
    assert finding.remedy in str(warned[0].message)
    assert json.loads(json.dumps(finding.to_dict()))["kind"] == str(kind)


def test_a_collapse_is_said_after_the_warm_up(images):
    monitor = GANMonitor(images, patience=2, warmup=1)
    with pytest.warns(GANWarning, match="of the variety of real images"):
        fixed(compiled(), 0.0).fit(images, epochs=5, verbose=0, callbacks=[monitor])
    assert [(finding.kind, finding.epoch) for finding in monitor.findings] == [(GANFindingKind.COLLAPSED, 3)]


def test_a_loss_that_is_not_finite_ends_the_training(images):
    monitor = GANMonitor(images)
    with pytest.warns(GANWarning, match="not finite"):
        history = compiled().fit(
            images, epochs=5, verbose=0, callbacks=[Says(generator_loss=[0.5, float("nan"), 0, 0, 0]), monitor]
        )
    assert len(history.epoch) == 2
    assert monitor.findings[0].kind is GANFindingKind.NOT_FINITE


def test_a_healthy_training_has_no_findings(images, recwarn):
    monitor = GANMonitor(images, collapse=0.01)
    compiled().fit(images, epochs=4, verbose=0, callbacks=[monitor])
    assert not monitor.findings
    assert not [entry for entry in recwarn if issubclass(entry.category, GANWarning)]


def test_errors(images):
    with pytest.raises(ValueError, match="at least 20 images"):
        GANMonitor(images[:19])
    with pytest.raises(ValueError, match="24 images and 3 labels"):
        GANMonitor(images, [1, 2, 3])
    with pytest.raises(ValueError, match=r"GANMonitor\(collapse=0\)"):
        GANMonitor(images, collapse=0)
    with pytest.raises(ValueError, match="needs metrics by name"):
        GenerationMetrics({}, images)
