"""The block and the stage of a Swin transformer."""

import numpy as np
import pytest

from keras_nnx.blocks import SwinBlock, SwinStage

IMAGES = np.random.default_rng(0).standard_normal((1, 12, 12, 4)).astype("float32")


def moved_by(layer, row, column):
    """Where the answer changes if one pixel does."""
    changed = IMAGES.copy()
    changed[0, row, column, 0] += 5  # of all channels, the normalisation would take it away
    return np.abs(layer(changed) - layer(IMAGES)).max((0, 3)) > 1e-6


def test_a_block_sees_its_window_alone():
    moved = moved_by(SwinBlock(2, 4), 5, 5)
    assert moved[4:8, 4:8].all()
    assert moved.sum() == 16


def test_a_shifted_block_sees_across_and_not_around_the_border():
    moved = moved_by(SwinBlock(2, 4, shift=2), 7, 0)
    assert moved[6:10, 0:2].all()
    assert moved.sum() == 8


def test_a_stage_shifts_in_turns():
    stage = SwinStage(2, 2, window_size=4)
    assert moved_by(stage, 5, 5).sum() > 16
    assert [block.shift for block in stage.blocks] == [0, 2]
    assert SwinStage(1, 2, window_size=2, merge=True)(IMAGES).shape == (1, 6, 6, 8)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SwinBlock(2, 4, shift=4).build((1, 8, 8, 4)), "shift=4"),
        (lambda: SwinBlock(3).build((1, 8, 8, 4)), "divides 4"),
        (lambda: SwinStage(0, 2), "depth=0"),
        (lambda: SwinStage(2, 2, expansion=0), "expansion=0"),
    ],
)
def test_what_does_not_fit_is_an_error(make, message):
    with pytest.raises(ValueError, match=message):
        make()
