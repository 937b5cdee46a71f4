"""KerasHub's backbones, proven in all formats."""

import pytest

import keras_nnx as nnx
from tests.zoo.hub_backbones import OTHERS, REQUIRED


@pytest.mark.filterwarnings("ignore:.*was passed an input with a mask:UserWarning")  # as KerasHub is
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", [*REQUIRED, *OTHERS])
def test_a_backbone(name, tmp_path):
    model = {**REQUIRED, **OTHERS}[name]()
    assert nnx.export_model(model, tmp_path / "x").proven
