"""What the layer contract is to layers, for losses and optimizers: no public class escapes."""

import importlib
import inspect
import json
import pkgutil

import keras
import pytest

from keras_nnx import losses, optimizers

ROOMS = (losses, optimizers)


def in_full(value):
    """A value as a configuration holds it."""
    return keras.saving.serialize_keras_object(value) if hasattr(value, "get_config") else value


CASES = {
    losses.DistillationLoss: (
        {},
        {"kind": "soft", "temperature": 3.0, "from_logits": False, "reduction": "sum", "name": "own"},
    ),
    losses.QuantileLoss: (
        {"quantiles": [0.5]},
        {"quantiles": [0.1, 0.5, 0.9], "reduction": "sum", "name": "own"},
    ),
    optimizers.LayerwiseDecay: (
        {"inner_optimizer": keras.optimizers.SGD(0.5), "multipliers": {}},
        {
            "inner_optimizer": keras.optimizers.AdamW(
                keras.optimizers.schedules.CosineDecay(0.5, 8), clipnorm=0.5, use_ema=True
            ),
            "multipliers": {"first": 0.25, "first/kernel": 1},
            "default": 0.5,
            "name": "own",
        },
    ),
}
"""Two sets of arguments for each class: as few as can be, and none that is a default."""

EACH = [pytest.param(kind, arguments, id=kind.__name__) for kind, sets in CASES.items() for arguments in sets]


def rooms_of(kind):
    """The functions of Keras that write and read such an object."""
    return keras.losses if issubclass(kind, keras.losses.Loss) else keras.optimizers


def defined_in(room):
    """The classes of every module of a room, whether the room shows them or not."""
    modules = [importlib.import_module(f"{room.__name__}.{info.name}") for info in pkgutil.iter_modules(room.__path__)]
    return {
        name
        for module in modules
        for name, value in vars(module).items()
        if inspect.isclass(value) and value.__module__ == module.__name__ and not name.startswith("_")
    }


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.__name__)
def test_every_public_name_has_a_case(room):
    assert sorted(room.__all__) == sorted(defined_in(room))
    assert {getattr(room, name) for name in room.__all__} <= set(CASES)


@pytest.mark.parametrize("kind", CASES, ids=lambda kind: kind.__name__)
def test_no_argument_is_left_out(kind):
    names = set(inspect.signature(kind).parameters) - {"kwargs"}
    assert names <= set(CASES[kind][1])


@pytest.mark.parametrize(("kind", "arguments"), EACH)
def test_config_round_trip(kind, arguments):
    room = rooms_of(kind)
    first = kind(**arguments)
    config = first.get_config()
    assert {name: config[name] for name in arguments} == {name: in_full(value) for name, value in arguments.items()}
    saved = json.loads(json.dumps(room.serialize(first)))
    again = room.deserialize(saved)
    assert type(again) is kind
    assert again.get_config() == config


@pytest.mark.parametrize("kind", CASES, ids=lambda kind: kind.__name__)
def test_registered_in_the_package(kind):
    name = f"keras_nnx>{kind.__name__}"
    assert keras.saving.get_registered_name(kind) == name
    assert keras.saving.get_registered_object(name) is kind


@pytest.mark.parametrize("kind", CASES, ids=lambda kind: kind.__name__)
def test_the_docstring_has_every_section(kind):
    text = inspect.getdoc(kind)
    assert [section for section in ("Args:", "Raises:", "Example:", "Source:") if section not in text] == []
