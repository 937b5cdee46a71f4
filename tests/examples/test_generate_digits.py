"""The conditional GAN: the judge of its digits, a generator that answers in pixels, and the program itself."""

import re

import keras
import numpy as np
import pytest
from PIL import Image

import keras_nnx as nnx


@pytest.fixture(scope="module")
def gan(generate_digits):
    keras.utils.set_random_seed(1)
    return generate_digits.build_gan(seed=1)


def test_the_artifact_draws_what_the_generator_draws(generate_digits, gan, tmp_path):
    report = nnx.export_model(generate_digits.deployable(gan), tmp_path / "generator", formats=("onnx",))
    labels = np.arange(6) % 10
    drawn = generate_digits.draw_digits(report.artifacts["onnx"].path, labels, seed=3)
    np.testing.assert_allclose(drawn, gan.generate(6, seed=3, labels=labels), atol=1e-4)


class Judge(keras.Model):
    """Takes the mean of an image times ten for the digit."""

    def call(self, images):
        return keras.ops.one_hot(keras.ops.cast(keras.ops.round(10 * keras.ops.mean(images, (1, 2, 3))), "int32"), 10)


def test_finish_fails_where_digits_are_not_good_enough(generate_digits, monkeypatch, capsys):
    monkeypatch.setattr(nnx.metrics, "feature_extractor", lambda judge: None)
    asked = np.arange(100) % 10
    random = np.random.default_rng(0)
    test = (asked / 10)[:, None, None, None] + random.normal(size=(100, 2, 2, 1)) * 0.001
    sets = {"the ONNX file": test + 1e-4, "an untrained generator": np.zeros((100, 2, 2, 1))}
    generate_digits.finish(Judge(), sets, asked, test)
    printed = capsys.readouterr().out
    assert "100.0% of 100 (by chance: 10%)" in printed
    assert "the ONNX file: 0.000\n" in printed
    with pytest.raises(SystemExit, match="not good enough"):
        generate_digits.finish(Judge(), sets, asked[::-1], test)
    with pytest.raises(SystemExit, match="not good enough"):
        generate_digits.finish(Judge(), {**sets, "an untrained generator": test + 2e-4}, asked, test)


@pytest.mark.parametrize("arguments", [["--epochs", "0"], ["--seed", "x"]])
def test_wrong_usage_is_2(generate_digits, arguments, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["generate_digits.py", *arguments])
    with pytest.raises(SystemExit) as stop:
        generate_digits.main()
    assert stop.value.code == 2
    assert arguments[0] in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.multiprocess
@pytest.mark.timeout(600)
def test_a_short_run_draws_what_it_is_asked_for(run_example):
    finished, out = run_example("generate_digits", "--epochs", 40, "--judge-epochs", 15)
    assert finished.returncode == 0, finished.stderr[-3000:]
    named = float(re.search(r"as the judge says: ([\d.]+)%", finished.stdout).group(1))
    distances = [float(value) for value in re.findall(r"Fréchet distance .*: ([\d.]+)$", finished.stdout, re.MULTILINE)]
    assert named >= 90
    assert distances[0] <= distances[1] / 10
    assert distances[2] < distances[0]  # real digits are nearer still
    verified = nnx.verify_export(out / "generator")
    assert verified.proven
    assert set(verified.artifacts) == {"saved_model", "onnx", "tflite"}
    assert (out / "samples" / "epoch_0000.png").exists()
    assert len(list((out / "samples").iterdir())) == 11
    with Image.open(out / "digits.png") as picture:
        assert min(picture.size) > 400
        assert len(picture.convert("RGB").getcolors(1 << 20)) > 12
