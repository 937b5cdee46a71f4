"""Every model and block has a search space of its own, and whatever is drawn from it can be built."""

import inspect
import random

import keras
import keras_tuner
import numpy as np
import pytest

import keras_nnx as nnx
from keras_nnx.tuning import Choice, Int, Recipe, Repeat
from keras_nnx.tuning.architecture import architectures, convolutional_classifier
from keras_nnx.tuning.described import DESCRIBED, ranges_of, suggested
from keras_nnx.tuning.described._description import PerStage
from keras_nnx.tuning.hypermodel import space as described_by_hand
from keras_nnx.tuning.ranges import Range
from tests.contract.cases import CASES

DRAWS, BATCH, CLASSES, TOKENS, STEPS = 4, 2, 3, 10, 6
MODELS = [name for name in nnx.models.__all__ if inspect.isfunction(getattr(nnx.models, name)) and name[0].isupper()]
NAMES = [*MODELS, *nnx.blocks.__all__]
IMAGE = ({"input_shape": (8, 8, 1), "classes": CLASSES}, (CLASSES,))
PICTURE = {"image_shape": (8, 8, 1)}
PAIR = {"input_shape": ((STEPS,), (STEPS,)), "vocabulary_sizes": (TOKENS, TOKENS)}
LANGUAGE = ({"input_shape": (STEPS,), "vocabulary_size": TOKENS}, (STEPS, TOKENS))
SERIES = {"input_shape": (STEPS, 4), "classes": CLASSES}
ARGUMENTS = {
    **dict.fromkeys(("ConvNeXt", "EfficientNet", "ResNet", "Swin", "ViT"), IMAGE),
    "CRNN": (IMAGE[0], (2, CLASSES)),
    "DCGANDiscriminator": (PICTURE, (1,)),
    "DCGANGenerator": (PICTURE, (8, 8, 1)),
    "DeiT": (IMAGE[0], {"label": (CLASSES,), "distillation": (CLASSES,)}),
    "LanguageModel": LANGUAGE,
    "ResidualDiscriminator": (PICTURE, (1,)),
    "ResidualGenerator": (PICTURE, (8, 8, 1)),
    "SequenceClassifier": (SERIES, (CLASSES,)),
    "SequenceForecaster": ({"input_shape": (STEPS, 4), "horizon": 3}, (3, 4)),
    "SequenceToSequence": (PAIR, (STEPS, TOKENS)),
    "TemporalConvNet": (SERIES, (STEPS, CLASSES)),
    "TransformerDecoder": LANGUAGE,
    "TransformerEncoder": (SERIES, (STEPS, CLASSES)),
    "TransformerSeq2Seq": (PAIR, (STEPS, TOKENS)),
    "UNet": (IMAGE[0], (8, 8, CLASSES)),
}
NOT_SEARCHED = {
    *("input_shape", "image_shape", "vocabulary_size", "vocabulary_sizes", "horizon", "features", "quantiles"),
    *("classes", "num_classes", "variant", "include_top", "include_preprocessing", "classifier_activation", "name"),
    *("output_activation", "mask_zero", "mask_value", "causal", "return_state", "seed", "momentum", "kwargs"),
    *("strides", "downsample", "upsample", "halve", "shift", "position"),  # where a block stands
    *("groups", "strides_first", "shortcut", "conditioning"),  # of use beside one value of another argument alone
    *("attention_size", "stem", "width_halvings"),  # they depend on the size of the images
}
"""What no builder, or not every one, has to search."""
RECURRENT = {"block_options"}
EVERY_STEP = {"pooling"}  # it decides whether there is an answer at every step
OWN = {
    "RecurrentBlock": {"merge"},  # of use beside one value of another argument alone
    **dict.fromkeys(("SequenceClassifier", "SequenceForecaster"), RECURRENT),
    **dict.fromkeys(("CRNN", "SequenceToSequence"), RECURRENT | EVERY_STEP),
    "LanguageModel": RECURRENT | EVERY_STEP | {"dim"},  # tied embeddings decide it
    **dict.fromkeys(("TemporalConvNet", "TransformerDecoder", "TransformerEncoder", "TransformerSeq2Seq"), EVERY_STEP),
    **dict.fromkeys(("DeiT", "UNet"), EVERY_STEP),
    "MLPBlock": {"epsilon", "units"},
    "SwinStage": {"epsilon", "merge"},
}
"""What one builder does not search; without an entry, the size of an epsilon."""


def builder(name):
    return getattr(nnx.models if name in MODELS else nnx.blocks, name)


def draws(space, count=DRAWS):
    """Yield the first guess, and what the oracles of keras-tuner draw at random."""
    known = keras_tuner.HyperParameters()
    space.declare_hyperparameters(known)
    yield keras_tuner.HyperParameters()
    seeds = random.Random(0)
    for _ in range(count):
        drawn = keras_tuner.HyperParameters()
        for entry in known.space:
            drawn.merge([entry])
            if drawn.is_active(entry):
                drawn.values[entry.name] = entry.random_sample(seeds.randrange(10**6))
        names = set(drawn.values)
        yield drawn
        assert set(drawn.values) == names, "the first model that is built makes known what was not declared"


def values_for(tensor):
    generator = np.random.default_rng(0)
    shape = (BATCH, *tensor.shape[1:])
    if tensor.dtype == "int32":
        return generator.integers(1, CLASSES, shape).astype("int32")
    return generator.standard_normal(shape).astype("float32")


def check(model, shape):
    """Assert that a model gives finite numbers of a shape, or of several by name."""
    outputs = model(keras.tree.map_structure(values_for, model.input))
    shapes = {key: tuple(value.shape[1:]) for key, value in outputs.items()} if isinstance(outputs, dict) else None
    assert (tuple(outputs.shape[1:]) if shapes is None else shapes) == shape
    for value in keras.tree.flatten(outputs):
        assert np.isfinite(keras.ops.convert_to_numpy(value)).all()


def ranges_within(value):
    """Yield the ends of options: ranges, or what is none."""
    if isinstance(value, dict):
        for entry in value.values():
            yield from ranges_within(entry)
    else:
        yield value


def test_everything_is_described():
    assert sorted(DESCRIBED) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_argument_is_searched_or_known_not_to_be(name):
    known = list(inspect.signature(builder(name)).parameters)
    described = list(ranges_of(builder(name)).ranges)
    assert described == [argument for argument in known if argument in described]
    assert set(known) - set(described) - NOT_SEARCHED <= OWN.get(name, {"epsilon"})
    assert all(isinstance(end, Range) for end in ranges_within(ranges_of(builder(name)).ranges))


@pytest.mark.parametrize("name", MODELS)
def test_every_draw_of_a_model_builds(name):
    arguments, shape = ARGUMENTS[name]
    space = suggested(builder(name), **arguments)
    for hp in draws(space):
        check(space.build(hp), shape)


@pytest.mark.parametrize("name", nnx.blocks.__all__)
def test_every_draw_of_a_block_builds(name):
    case = next(case for case in CASES if case.layer.__name__ == name)
    space = suggested(case.layer)
    for hp in draws(space):
        layer = space.make(hp, name)
        model = case.model(layer)
        check(model, tuple(layer.compute_output_shape(*case.sized())[1:]))


def test_what_is_given_replaces_what_is_suggested():
    space = suggested(nnx.blocks.MLPBlock, hidden_dim=8, dropout=Int(0, 1), scope="head")
    hp = keras_tuner.HyperParameters()
    assert space.make(hp, space.name).hidden_dim == 8
    assert "head/hidden_dim" not in hp.values
    assert hp.values["head/dropout"] == 0
    assert list(space.arguments) == [
        *("hidden_dim", "activation", "normalization", "dropout", "stochastic_depth", "feed_forward_options")
    ]


def test_the_recipe_is_handed_on():
    recipe = Recipe(batch_size=7)
    assert suggested(nnx.models.UNet, input_shape=(8, 8, 1), recipe=recipe).recipe is recipe


@pytest.mark.parametrize("given", [(8, 16, 16, 16), Repeat(Int(8, 16, step=8), 4)], ids=["values", "ranges"])
def test_as_many_stages_are_suggested_as_are_given(given):
    space = suggested(nnx.models.ResNet, input_shape=(8, 8, 1), classes=3, filters=given)
    for hp in draws(space, 1):
        chosen = space.build(hp)
        assert "stage_4_block_1" in {layer.name for layer in chosen.layers}
        assert "ResNet/stages" not in hp.values


def test_stages_of_a_model_that_is_one_of_several():
    models = {name: suggested(builder(name), **IMAGE[0]) for name in ("Swin", "ConvNeXt")}
    space = described_by_hand(lambda model: model, model=Choice(models, default="ConvNeXt"), scope="any")
    hp = keras_tuner.HyperParameters()
    assert space.build(hp).name == "convnext"
    assert hp.values["any/model=ConvNeXt/stages"] == 3
    assert not any(name.startswith("any/model=Swin") for name in hp.values)


def test_stages_that_nobody_can_count_are_drawn():
    given = Choice({"two": (8, 8), "three": (8, 8, 8)})
    space = suggested(nnx.models.ResNet, input_shape=(8, 8, 1), classes=3, filters=given)
    assert isinstance(space.arguments["blocks"], PerStage)


@pytest.mark.parametrize(
    ("name", "arguments", "left"),
    [
        ("ResNet", {"variant": "ResNet18"}, {"stochastic_depth", "pooling"}),
        ("ResNet", {"variant": "ResNet18", "filters": (8, 8, 8, 8)}, {"filters", "stochastic_depth", "pooling"}),
        ("UNet", {"variant": None}, {"filters", "interpolation", "dropout"}),
        ("LanguageModel", {"classes": 3}, {"units", "cell", "dropout"}),
    ],
)
def test_what_one_argument_decides_is_not_suggested(name, arguments, left):
    sizes = {"vocabulary_size": 9, "input_shape": (4,)} if name == "LanguageModel" else {"input_shape": (32, 32, 3)}
    given = suggested(builder(name), **sizes, **arguments).arguments
    assert set(given) - {*sizes, "variant", "classes"} == left


def test_a_builder_without_a_description_lists_those_that_have_one():
    with pytest.raises(
        ValueError, match=r"suggested\(Dense\) has nothing to suggest: .* AttentionDecoderBlock, .* ViT\."
    ):
        suggested(keras.layers.Dense, units=3)

    with pytest.raises(ValueError, match=r"suggested\(ResNet\)"):
        suggested(type("ResNet", (keras.layers.Layer,), {}))


def test_an_unknown_argument_lists_those_that_there_are():
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'width'. It takes input_shape, classes, variant"):
        suggested(nnx.models.ResNet, input_shape=(8, 8, 1), width=3)


def test_every_drawn_architecture_builds():
    space = architectures((8, 8, 1), CLASSES)
    kinds = set()
    for hp in draws(space, 8):
        check(space.build(hp), (CLASSES,))
        kinds |= {value for name, value in hp.values.items() if name.endswith("/block")}
    assert kinds == {"residual", "bottleneck", "inverted_residual", "convnext", "plain"}


def test_knobs_of_a_block_are_searched_where_it_is_chosen():
    space = architectures((8, 8, 1), CLASSES, stages=(1, 1), blocks=("plain", "convnext"), widths=(8,))
    hp = keras_tuner.HyperParameters()
    hp.values = {"architecture/stages/1/block": "convnext"}
    space.make(hp, space.name)
    prefix = "architecture/stages/1/block="
    searched = {name.removeprefix(prefix) for name in hp.values if name.startswith(prefix)}
    assert searched == {f"convnext/{name}" for name in ranges_of(nnx.blocks.ConvNeXtBlock).ranges}


def test_an_architecture_is_trained():
    space = architectures((8, 8, 1), CLASSES, recipe=Recipe(batch_size=16, learning_rate=0.01))
    generator = np.random.default_rng(0)
    x, y = generator.standard_normal((32, 8, 8, 1)).astype("float32"), np.arange(32) % CLASSES
    hp = keras_tuner.HyperParameters()
    model = space.build(hp)
    history = space.fit(hp, model, x, y, epochs=1, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    np.testing.assert_allclose(keras.ops.sum(model(x), axis=-1), np.ones(32), rtol=1e-5)


def test_maps_are_halved_down_to_three_pixels_or_less():
    stages = [{"block": "plain", "width": 4}] * 5
    model = convolutional_classifier((16, 16, 1), CLASSES, stages)
    sides = [model.get_layer(f"stage_{number}_block_1_activation").output.shape[1] for number in range(1, 6)]
    assert sides == [16, 8, 4, 2, 2]
    assert convolutional_classifier((None, None, 1), CLASSES, stages).output_shape == (None, CLASSES)


def test_blocks_are_names_classes_and_dictionaries():
    stages = [
        {"block": nnx.blocks.SwinBlock, "width": 28},
        {"block": {"kind": nnx.blocks.ResidualBlock, "kernel_size": 5}, "width": 8, "repeats": 2},
    ]
    with pytest.raises(TypeError, match="num_heads"):
        convolutional_classifier((8, 8, 1), CLASSES, stages)
    stages[0]["block"] = {"kind": nnx.blocks.SwinBlock, "num_heads": 4}
    model = convolutional_classifier((8, 8, 1), CLASSES, stages, dropout=0.1, classifier_activation=None)
    assert [model.get_layer(f"stage_2_block_{number}").kernel_size for number in (1, 2)] == [5, 5]
    assert model.get_layer("stage_1_block_1").num_heads == 4


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ([], r"stages=\[\]\) needs at least one stage"),
        (
            [{"block": "dense", "width": 4}],
            "block 'dense' is unknown: choose one of residual, .* plain, or give a class",
        ),
        ([{"width": 4}], "block None is unknown"),
        ([{"block": "plain"}], r"width=None\) needs an integer"),
        ([{"block": "plain", "width": 4, "repeats": 0}], r"repeats=0\) needs an integer"),
    ],
)
def test_errors_of_architectures(stages, message):
    with pytest.raises(ValueError, match=message):
        convolutional_classifier((8, 8, 1), CLASSES, stages)


def test_errors_of_searched_architectures():
    with pytest.raises(ValueError, match="block 'dense' is unknown"):
        architectures((8, 8, 1), CLASSES, blocks=("dense",))
    with pytest.raises(ValueError, match=r"stages=0\) needs an integer of at least 1"):
        architectures((8, 8, 1), CLASSES, stages=(0, 2))
    with pytest.raises(ValueError, match=r"Int\(3, 2\) needs a low bound under the high one"):
        architectures((8, 8, 1), CLASSES, stages=(3, 2))
