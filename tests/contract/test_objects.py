"""What the layer contract is to layers, for losses, optimizers and regularisers of critics: none escapes."""

import importlib
import inspect
import json
import pkgutil

import keras
import pytest

from keras_nnx import losses, optimizers, schedules, training

ROOMS = (losses, optimizers)
BASES = {losses.GANLoss, training.CriticRegularizer}
"""Classes that are public to be subclassed."""


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
    losses.HingeGANLoss: ({}, {"name": "own"}),
    losses.LeastSquaresGANLoss: ({}, {"name": "own"}),
    losses.MinimaxGANLoss: ({}, {"label_smoothing": 0.25, "name": "own"}),
    losses.NonSaturatingGANLoss: ({}, {"label_smoothing": 0.25, "name": "own"}),
    losses.RelativisticGANLoss: ({}, {"reference": "average", "name": "own"}),
    losses.WassersteinGANLoss: ({}, {"name": "own"}),
    training.GradientPenalty: ({}, {"weight": 3.0, "target": 0.5, "interval": 4, "name": "own"}),
    training.R1: ({}, {"weight": 3.0, "interval": 4, "name": "own"}),
    training.R2: ({}, {"weight": 3.0, "interval": 4, "name": "own"}),
    optimizers.ScheduledSGD: (
        {},
        {
            "learning_rate": keras.optimizers.schedules.CosineDecay(0.5, 8),
            "momentum": schedules.OneCycleMomentum(steps=8),
            "nesterov": True,
            "clipnorm": 0.5,
            "name": "own",
        },
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
    for base, room in ((keras.losses.Loss, keras.losses), (keras.optimizers.Optimizer, keras.optimizers)):
        if issubclass(kind, base):
            return room.serialize, room.deserialize
    return keras.saving.serialize_keras_object, keras.saving.deserialize_keras_object


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
    assert {getattr(room, name) for name in room.__all__} - BASES <= set(CASES)


def test_every_regularizer_has_a_case():
    public = {getattr(training, name) for name in training.__all__}
    assert {kind for kind in public if issubclass(kind, training.CriticRegularizer)} - BASES <= set(CASES)


@pytest.mark.parametrize("kind", CASES, ids=lambda kind: kind.__name__)
def test_no_argument_is_left_out(kind):
    names = set(inspect.signature(kind).parameters) - {"kwargs"}
    assert names <= set(CASES[kind][1])


@pytest.mark.parametrize(("kind", "arguments"), EACH)
def test_config_round_trip(kind, arguments):
    serialize, deserialize = rooms_of(kind)
    first = kind(**arguments)
    config = first.get_config()
    assert {name: config[name] for name in arguments} == {name: in_full(value) for name, value in arguments.items()}
    saved = json.loads(json.dumps(serialize(first)))
    again = deserialize(saved)
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
    refusable = set(inspect.signature(kind).parameters) - {"name", "kwargs"}
    sections = ("Args:", *["Raises:"] * bool(refusable), "Example:", "Source:")
    assert [section for section in sections if section not in text] == []
