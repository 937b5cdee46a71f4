"""Published variants have the published sizes."""

import keras
import numpy as np
import pytest

from keras_nnx import models

IMAGE = (224, 224, 3)


def trainable(model):
    return sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)


# The figures are those that torchvision and timm give. Two of ours differ by what is the same function: the class and
# distillation tokens have no positions of their own, and a shifted sum of two weights is one.
@pytest.mark.parametrize(
    ("build", "variant", "expected"),
    [
        (models.ResNet, "ResNet18", 11_689_512),
        (models.ResNet, "ResNet34", 21_797_672),
        (models.ResNet, "ResNet50", 25_557_032),
        (models.ResNet, "ResNeXt50_32x4d", 25_028_904),
        (models.ResNet, "SEResNet50", 28_088_024),
        (models.ConvNeXt, "ConvNeXtTiny", 28_589_128),
        (models.ConvNeXt, "ConvNeXtV2Atto", 3_708_400),
        (models.ConvNeXt, "ConvNeXtV2Pico", 9_066_280),
        (models.EfficientNet, "EfficientNetB0", 5_288_548),
        (models.EfficientNet, "EfficientNetB2", 9_109_994),
        (models.ViT, "ViT-Ti/16", 5_717_416 - 192),
        (models.ViT, "ViT-S", 22_050_664 - 384),
        (models.DeiT, "DeiT-Ti", 5_910_800 - 2 * 192),
        (models.Swin, "Swin-T", 28_288_354),
    ],
)
def test_the_number_of_weights_is_the_published_one(build, variant, expected):
    assert trainable(build(IMAGE, 1000, variant)) == expected


def test_names_are_found_without_their_dashes_and_capitals():
    small, same = (models.ViT((32, 32, 3), 2, name, patch_size=16, depth=1) for name in ("ViT-Ti", "vit_ti"))
    assert small.count_params() == same.count_params()


def test_an_argument_replaces_its_part():
    model = models.ResNet((32, 32, 3), 2, "ResNet18", filters=(4, 8, 8, 8), stem="small")
    assert [model.get_layer(f"stage_{stage}_block_2").filters for stage in (1, 2, 3, 4)] == [4, 8, 8, 8]
    assert "stem_pool" not in {layer.name for layer in model.layers}


@pytest.mark.parametrize(("name", "patch"), [("ViT-Ti/4", 4), ("ViT-Ti", 16), ("vit-ti/8", 8)])
def test_the_patch_is_in_the_name(name, patch):
    assert models.ViT((16, 16, 3), 2, name, depth=1).get_layer("patches").patch_size == patch


@pytest.mark.parametrize(
    ("build", "variant", "message"),
    [
        (models.ResNet, "ResNet51", r"ResNet\(variant='ResNet51'\) is unknown. Did you mean 'ResNet\d+.*There are: "),
        (models.ViT, "ViT-B/x", r"ViT\(variant='ViT-B/x'\) needs the size of a patch behind the slash"),
        (models.Swin, "swin", r"There are: Swin-T, Swin-S, Swin-B, Swin-L\."),
        (models.TransformerEncoder, "BERT", r"There are: Transformer-base, Transformer-big\."),
    ],
)
def test_an_unknown_variant_lists_the_known_ones(build, variant, message):
    with pytest.raises(ValueError, match=message):
        build((None, 3) if build is models.TransformerEncoder else (32, 32, 3), 2, variant=variant)


@pytest.mark.parametrize("order", ["post", "pre"])
def test_stages_halve_the_image(order):
    model = models.ResNet((64, 64, 3), 2, filters=(4, 4, 4), blocks=(2, 2, 2), order=order, include_top=False)
    assert model.output_shape == (None, 16, 16, 4)
    sides = [model.get_layer(f"stage_{stage}_block_2").output.shape[1] for stage in (1, 2, 3)]
    assert sides == ([64, 32, 16] if order == "post" else [32, 16, 16])


def test_pixels_are_normalised_by_a_variant_only():
    plain = models.ConvNeXt((8, 8, 3), 2, filters=(4,), blocks=(1,))
    prepared = models.ConvNeXt((8, 8, 3), 2, filters=(4,), blocks=(1,), include_preprocessing=True)
    assert [any("pixel" in layer.name for layer in model.layers) for model in (plain, prepared)] == [False, True]
    variables = [(variable.path, variable.shape) for variable in prepared.weights if "pixel" not in variable.path]
    assert variables == [(variable.path, variable.shape) for variable in plain.weights]
    for variable in prepared.weights:
        source = next((other for other in plain.weights if other.path == variable.path), None)
        if source is not None:
            variable.assign(source)
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 8, 8, 3)).astype("float32")
    normalized = (pixels / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    np.testing.assert_allclose(prepared(pixels), plain(normalized.astype("float32")), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("build", "arguments", "message"),
    [
        (models.ConvNeXt, {"input_shape": (4, 8, 3), "filters": (4,) * 3, "blocks": (1,) * 3}, r"3 stages needs 8 pix"),
        (models.Swin, {"input_shape": (1, 8, 3)}, r"has the height 1, but a patch needs 2 pixels"),
        (models.UNet, {"input_shape": (8, 3, 1), "filters": (2, 2, 2)}, r"has the width 3, but a U-Net of 3 sizes"),
        (models.ResNet, {"input_shape": (8, 8)}, r"ResNet\(input_shape=\(8, 8\)\) needs height, width and channels"),
        (models.ResNet, {"input_shape": (8, 8, 3), "groups": 2}, r"ResNet\(groups=2\) is for bottleneck blocks"),
        (models.EfficientNet, {"input_shape": (8, 8, 3), "width": 0}, r"EfficientNet\(width=0\) needs a number over 0"),
        (models.ViT, {"input_shape": (None, 8, 3)}, r"give the images a fixed height and width"),
        (
            models.ViT,
            {"input_shape": (8, 8, 3), "registers": -1},
            r"ViT\(registers=-1\) needs an integer of at least 0",
        ),
        (models.ViT, {"input_shape": (8, 8, 3), "patch_size": 0}, r"patch_size=0\) needs an integer of at least 1"),
        (models.ViT, {"input_shape": (8, 8, 3), "hidden_dim": 0}, r"hidden_dim=0\) needs an integer of at least 1"),
        (models.ResNet, {"input_shape": (8, 8, 0)}, r"needs height, width and channels"),
        (models.ResNet, {"input_shape": 8}, r"needs height, width and channels"),
        (models.DeiT, {"input_shape": (8, 8, 3), "pooling": "avg"}, r"DeiT\(pooling='avg'\) has no classifiers"),
        (models.Swin, {"input_shape": (8, 8, 3), "blocks": (1,)}, r"one number of blocks and one of heads for each"),
        (models.TemporalConvNet, {"input_shape": (8,)}, r"needs length and features, such as \(None, 3\)"),
        (models.TransformerEncoder, {"input_shape": (8,)}, r"for token numbers, give vocabulary_size"),
        (
            models.TransformerEncoder,
            {"input_shape": (8,), "vocabulary_size": 9, "mask_value": 1},
            r"mask_value=1\) of token numbers is 0",
        ),
        (
            models.TransformerDecoder,
            {"input_shape": (8,), "vocabulary_size": 9, "classes": 3, "tie_embeddings": True},
            r"has a vector for each of 9 tokens",
        ),
        (models.TransformerSeq2Seq, {"input_shape": (8,), "vocabulary_sizes": (9, 9)}, r"one for the source and one"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(build, arguments, message):
    with pytest.raises(ValueError, match=message):
        build(**{"classes": 2, **arguments})


def test_tied_embeddings_are_one_table():
    arguments = {"vocabulary_size": 9, "dim": 8, "depth": 1, "num_heads": 2}
    tied, free = (models.TransformerDecoder((None,), **arguments, tie_embeddings=tie) for tie in (True, False))
    assert free.count_params() - tied.count_params() == 8 * 9 + 9
    assert tied.output_shape == (None, None, 9)


def test_fused_heads_are_the_average_of_both():
    student = models.DeiT((8, 8, 3), 4, dim=8, depth=1, num_heads=2)
    images = np.random.default_rng(0).standard_normal((3, 8, 8, 3)).astype("float32")
    both = student(images)
    fused = models.fuse_heads(student, classifier_activation=None)
    np.testing.assert_allclose(fused(images), (both["label"] + both["distillation"]) / 2, rtol=1e-5, atol=1e-6)
    assert fused.output_shape == (None, 4)
    scores = models.fuse_heads(student)(images)
    np.testing.assert_allclose(keras.ops.sum(scores, axis=-1), 1, rtol=1e-5)
    with pytest.raises(ValueError, match="fuse_heads received the model 'vit' without the layer 'label_logits'"):
        models.fuse_heads(models.ViT((8, 8, 3), 4, dim=8, depth=1, num_heads=2))


def test_quantised_heads_are_fused_before():
    student = models.DeiT((8, 8, 3), 4, dim=8, depth=1, num_heads=2)
    student.get_layer("label_logits").quantize("int8")
    with pytest.raises(ValueError, match="received 'label_logits' quantised to int8: fuse the heads first"):
        models.fuse_heads(student)


@pytest.mark.parametrize("again", ["saved", "cloned"])
def test_masks_pass_every_normalisation_of_a_copy(again, tmp_path):
    arguments = {"dim": 8, "depth": 1, "num_heads": 2, "block_options": {"normalization": "rms"}}
    model = models.TransformerSeq2Seq(((None,), (None,)), (9, 9), **arguments)
    if again == "saved":
        model.save(tmp_path / "model.keras")
        other = keras.saving.load_model(tmp_path / "model.keras")
    else:
        other = keras.models.clone_model(model)
        other.set_weights(model.get_weights())
    target = np.array([[3, 4, 0, 0]], "int32")
    sources = [np.array([[1, 2, *padding]], "int32") for padding in ((), (0, 0, 0))]
    short, long = (other({"source": source, "target": target}) for source in sources)
    np.testing.assert_allclose(short, long, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(long._keras_mask, [[True, True, False, False]])


def test_numbers_of_numpy_are_numbers():
    model = models.ViT(np.array([8, 8, 3]), np.int64(3), patch_size=np.int64(4), dim=np.int32(8), depth=1, num_heads=2)
    assert model.output_shape == (None, 3)
    assert models.ResNet((8, 8, 3), 2, filters=np.array([4, 4]), blocks=np.array([1, 1])).output_shape == (None, 2)
