"""No public layer escapes the contract."""

import importlib
import inspect
import pkgutil

import keras
import pytest

from keras_nnx import blocks, layers
from tests.contract.cases import CASES

ROOMS = (layers, blocks)
SECTIONS = ("Args:", "Input shape:", "Output shape:", "Raises:", "Example:", "Source:")


def layer_classes(module):
    return {
        value
        for name, value in vars(module).items()
        if inspect.isclass(value) and issubclass(value, keras.layers.Layer) and not name.startswith("_")
    }


def defined_in(room):
    """The layer classes of every module of a room, whether the room shows them or not."""
    modules = [importlib.import_module(f"{room.__name__}.{info.name}") for info in pkgutil.iter_modules(room.__path__)]
    return {value for module in modules for value in layer_classes(module) if value.__module__ == module.__name__}


PUBLIC = sorted(set().union(*map(layer_classes, ROOMS)), key=lambda layer: layer.__name__)


@pytest.mark.parametrize("layer", PUBLIC, ids=lambda layer: layer.__name__)
def test_every_public_class_has_a_case(layer):
    assert layer in {case.layer for case in CASES}, f"Add a case for {layer.__name__} to tests/contract/*_cases.py."


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.__name__)
def test_every_layer_is_public_and_named_in_all(room):
    assert layer_classes(room) == defined_in(room)
    assert sorted(value.__name__ for value in defined_in(room)) == sorted(room.__all__)


def test_every_case_has_a_name_of_its_own():
    names = [str(case) for case in CASES]
    assert sorted(set(names)) == sorted(names)


@pytest.mark.parametrize("layer", PUBLIC, ids=lambda layer: layer.__name__)
def test_the_docstring_has_every_section(layer):
    text = inspect.getdoc(layer)
    assert [section for section in SECTIONS if section not in text] == []
    assert "mask" in text
