"""Every layer of `keras.layers` that can stand in an inference graph, in the configurations that make a difference."""

from functools import partial

import keras
import numpy as np
from keras import Input, layers

ALIASES = {
    name for name in dir(layers) if name.startswith(("AvgPool", "MaxPool", "Convolution", "SeparableConvolution"))
}
ALIASES = {name for name in ALIASES if not name.startswith("MaxPooling")} | {
    f"Global{kind}Pool{n}D" for kind in ("Avg", "Max") for n in (1, 2, 3)
}
NOT_IN_A_GRAPH = {
    "FlaxLayer": "runs on JAX",
    "JaxLayer": "runs on JAX",
    "TorchModuleWrapper": "runs on PyTorch",
    "TFSMLayer": "wraps a SavedModel, which is an artifact already",
    "InputLayer": "computes nothing",
    "InputSpec": "is no layer",
    "Layer": "is the base class",
    "Wrapper": "is a base class",
    "GRUCell": "stands inside RNN",
    "LSTMCell": "stands inside RNN",
    "SimpleRNNCell": "stands inside RNN",
    "StackedRNNCells": "stands inside RNN",
    "MaxNumBoundingBoxes": "prepares bounding boxes for training",
    "TextVectorization": "takes text, which the runtimes do not share",
    "StringLookup": "takes text, which the runtimes do not share",
    "Hashing": "takes text or hashes by TensorFlow's own function, which the runtimes do not share",
    "HashedCrossing": "takes text or hashes by TensorFlow's own function, which the runtimes do not share",
}

SEQUENCE, STATIC_SEQUENCE = (None, 6), (8, 6)
IMAGE, STATIC_IMAGE = (None, None, 3), (12, 10, 3)
VOLUME, STATIC_VOLUME = (None, None, None, 2), (8, 6, 6, 2)
OF_RANK = {1: (SEQUENCE, STATIC_SEQUENCE), 2: (IMAGE, STATIC_IMAGE), 3: (VOLUME, STATIC_VOLUME)}
AUGMENTATIONS = [
    "AugMix",
    "AutoContrast",
    "CutMix",
    "Equalization",
    "MixUp",
    "RandAugment",
    "RandomBrightness",
    "RandomColorDegeneration",
    "RandomColorJitter",
    "RandomContrast",
    "RandomElasticTransform",
    "RandomErasing",
    "RandomFlip",
    "RandomGaussianBlur",
    "RandomGrayscale",
    "RandomHue",
    "RandomInvert",
    "RandomPerspective",
    "RandomPosterization",
    "RandomRotation",
    "RandomSaturation",
    "RandomSharpness",
    "RandomShear",
    "RandomTranslation",
    "RandomZoom",
    "Solarization",
    "ContrastLimitedAdaptiveHistogramEqualization",
]
_ARGUMENTS = {
    "RandomBrightness": {"factor": 0.2},
    "RandomColorDegeneration": {"factor": 0.2},
    "RandomContrast": {"factor": 0.2},
    "RandomHue": {"factor": 0.2},
    "RandomPosterization": {"factor": 4},
    "RandomRotation": {"factor": 0.2},
    "RandomSaturation": {"factor": 0.2},
    "RandomSharpness": {"factor": 0.2},
    "RandomTranslation": {"height_factor": 0.2, "width_factor": 0.2},
    "RandomZoom": {"height_factor": 0.2},
    "RandomShear": {"x_factor": 0.2},
}


def chain(shape, *stack, dtype="float32"):
    """Return a function that builds a functional model of `stack`: fresh layers each time."""

    def build():
        x = inputs = Input(shape, dtype=dtype, name="input")
        for make in stack:
            x = make()(x)
        return keras.Model(inputs, x)

    return build


def join(function, *shapes, dtype="float32"):
    """Return a function that builds a model of several inputs."""

    def build():
        inputs = [Input(shape, dtype=dtype, name=f"input_{index}") for index, shape in enumerate(shapes)]
        return keras.Model(inputs, function(*inputs))

    return build


def _convolutions():
    cases = {}
    for rank in (1, 2, 3):
        unknown, known = OF_RANK[rank]
        for name in (f"Conv{rank}D", f"Conv{rank}DTranspose", f"DepthwiseConv{rank}D", f"SeparableConv{rank}D"):
            layer = getattr(layers, name, None)
            if layer is None:
                continue
            filters = {} if name.startswith("Depthwise") else {"filters": 4}
            variants = {
                "valid": {},
                "same, strides 2": {"padding": "same", "strides": 2},
                "dilated": {"dilation_rate": 2, "padding": "same"},
                "relu": {"activation": "relu", "use_bias": False},
            }
            if name == "Conv1D":
                variants["causal"] = {"padding": "causal", "dilation_rate": 2}
            if name in ("Conv1D", "Conv2D", "Conv3D"):
                variants["groups"] = {"groups": 2 if rank != 2 else 3, "filters": 6}
            if name == "Conv2D":
                variants["kernel of one"] = {"kernel_size": 1, "strides": 2}
                variants["odd"] = {"kernel_size": (2, 5), "padding": "same", "strides": (2, 2)}
            if "Transpose" in name:
                variants["output padding"] = {"strides": 2, "output_padding": 1, "padding": "same"}
            cases[name] = {
                f"{variant}{kind}": chain(shape, partial(layer, **{"kernel_size": 3, **filters, **arguments}))
                for variant, arguments in variants.items()
                for shape, kind in ((known, ""), (unknown, ", unknown size"))
            }
    return cases


def _poolings():
    cases = {}
    for rank in (1, 2, 3):
        unknown, known = OF_RANK[rank]
        for kind in ("Average", "Max"):
            layer = getattr(layers, f"{kind}Pooling{rank}D")
            cases[layer.__name__] = {
                f"{padding}{size}": chain(shape, lambda c=layer, p=padding: c(3, strides=2, padding=p))
                for padding in ("valid", "same")
                for shape, size in ((known, ""), (unknown, ", unknown size"))
            }
            layer = getattr(layers, f"Global{kind}Pooling{rank}D")
            cases[layer.__name__] = {
                f"keepdims={keep}": chain(unknown, lambda c=layer, k=keep: c(keepdims=k)) for keep in (False, True)
            }
            layer = getattr(layers, f"Adaptive{kind}Pooling{rank}D")
            cases[layer.__name__] = {
                "divides": chain(known, lambda c=layer: c(2)),
                "overlaps": chain(known, lambda c=layer: c(5)),
            }
        for name, argument in (("UpSampling", 2), ("ZeroPadding", 1), ("Cropping", 1)):
            layer = getattr(layers, f"{name}{rank}D")
            cases[layer.__name__] = {
                "": chain(known, lambda c=layer, a=argument: c(a)),
                "unknown size": chain(unknown, lambda c=layer, a=argument: c(a)),
            }
    for mode in ("bilinear", "bicubic", "lanczos3", "lanczos5"):
        for shape, size in ((STATIC_IMAGE, ""), (IMAGE, ", unknown size")):
            make = lambda m=mode: layers.UpSampling2D((2, 3), interpolation=m)  # noqa: E731
            cases["UpSampling2D"][f"{mode}{size}"] = chain(shape, make)
    cases["GlobalAveragePooling1D"]["masked"] = chain(
        (None,), lambda: layers.Embedding(9, 4, mask_zero=True), layers.GlobalAveragePooling1D, dtype="int32"
    )
    return cases


def _activations():
    plain = ("ELU", "LeakyReLU", "PReLU", "ReLU", "Softmax", "Identity", "Activation", "ActivityRegularization")
    cases = {
        name: {"": chain(STATIC_SEQUENCE, getattr(layers, name))} for name in plain if not name.startswith("Activ")
    }
    cases["ReLU"]["with all arguments"] = chain(
        STATIC_SEQUENCE, lambda: layers.ReLU(max_value=2.0, negative_slope=0.1, threshold=0.3)
    )
    cases["PReLU"]["shared axes"] = chain(IMAGE, lambda: layers.PReLU(shared_axes=[1, 2], alpha_initializer="uniform"))
    cases["Softmax"]["two axes"] = chain(STATIC_SEQUENCE, lambda: layers.Softmax(axis=(1, 2)))
    names = sorted(n for n in dir(keras.activations) if n not in ("deserialize", "get", "serialize", "threshold"))
    cases["Activation"] = {
        name: chain(STATIC_SEQUENCE, lambda n=name: layers.Activation(n)) for name in names if name[0] != "_"
    }
    cases["ActivityRegularization"] = {"": chain(STATIC_SEQUENCE, lambda: layers.ActivityRegularization(l2=0.1))}
    return cases


def _merge(name, *tensors):
    return getattr(layers, name)()(list(tensors))


def _merges():
    cases = {
        name: {"": join(partial(_merge, name), SEQUENCE, SEQUENCE)}
        for name in ("Add", "Average", "Maximum", "Minimum", "Multiply", "Subtract", "Concatenate")
    }
    cases["Concatenate"]["along the time"] = join(lambda a, b: layers.Concatenate(axis=1)([a, b]), SEQUENCE, SEQUENCE)
    cases["Add"]["broadcast"] = join(lambda a, b: layers.Add()([a, b]), SEQUENCE, (1, 6))
    cases["Dot"] = {
        "": join(lambda a, b: layers.Dot(axes=-1)([a, b]), STATIC_SEQUENCE, (5, 6)),
        "normalised": join(lambda a, b: layers.Dot(axes=-1, normalize=True)([a, b]), (6,), (6,)),
    }
    return cases


def _normalizations():
    random = np.random.default_rng(0)

    def normalization():
        return layers.Normalization(mean=random.normal(size=6), variance=random.uniform(0.5, 2, 6))

    def trained(layer, **arguments):
        names = ("beta", "gamma", "moving_mean", "moving_variance")
        return lambda: layer(
            **{f"{n}_initializer": keras.initializers.RandomUniform(0.5, 1.5) for n in names}, **arguments
        )

    return {
        "BatchNormalization": {
            "": chain(STATIC_IMAGE, trained(layers.BatchNormalization)),
            "behind a convolution": chain(IMAGE, lambda: layers.Conv2D(4, 3), trained(layers.BatchNormalization)),
            "behind a resize": chain(IMAGE, lambda: layers.Resizing(8, 8), trained(layers.BatchNormalization)),
            "sequence": chain(SEQUENCE, trained(layers.BatchNormalization)),
            "axis 1": chain(STATIC_SEQUENCE, trained(layers.BatchNormalization, axis=1)),
            "no scale": chain(IMAGE, lambda: layers.BatchNormalization(scale=False, center=False)),
        },
        "LayerNormalization": {
            "": chain(SEQUENCE, layers.LayerNormalization),
            "two axes": chain(STATIC_SEQUENCE, lambda: layers.LayerNormalization(axis=(1, 2))),
            "no scale": chain(SEQUENCE, lambda: layers.LayerNormalization(scale=False, center=False)),
        },
        "GroupNormalization": {
            "": chain(STATIC_IMAGE, lambda: layers.GroupNormalization(3)),
            "unknown size": chain((None, None, 4), lambda: layers.GroupNormalization(2)),
        },
        "RMSNormalization": {"": chain(SEQUENCE, layers.RMSNormalization)},
        "UnitNormalization": {"": chain(SEQUENCE, layers.UnitNormalization)},
        "SpectralNormalization": {"": chain(IMAGE, lambda: layers.SpectralNormalization(layers.Conv2D(4, 3)))},
        "Normalization": {"": chain(SEQUENCE, normalization)},
        "Rescaling": {
            "": chain(IMAGE, lambda: layers.Rescaling(1 / 255, -0.5)),
            "integers": chain(IMAGE, lambda: layers.Rescaling(1 / 255), dtype="uint8"),
        },
    }


def _attentions():
    def masked(query, value):
        return layers.MultiHeadAttention(2, 4)(layers.Masking()(query), layers.Masking()(value))

    return {
        "MultiHeadAttention": {
            "self": chain(SEQUENCE, lambda: SelfAttention(layers.MultiHeadAttention(2, 4))),
            "cross": join(lambda q, v: layers.MultiHeadAttention(2, 4, value_dim=3)(q, v), SEQUENCE, (None, 5)),
            "causal": join(lambda q: layers.MultiHeadAttention(2, 4)(q, q, use_causal_mask=True), SEQUENCE),
            "masked": join(masked, SEQUENCE, SEQUENCE),
            "with scores": join(
                lambda q: layers.MultiHeadAttention(2, 4)(q, q, return_attention_scores=True), STATIC_SEQUENCE
            ),
            "over an image": join(lambda q: layers.MultiHeadAttention(2, 4, attention_axes=(1, 2))(q, q), (4, 5, 6)),
        },
        "GroupQueryAttention": {
            "": join(lambda q: layers.GroupQueryAttention(4, 4, 2)(q, q), SEQUENCE),
            "causal": join(lambda q: layers.GroupQueryAttention(4, 4, 2)(q, q, use_causal_mask=True), SEQUENCE),
        },
        "Attention": {
            "": join(lambda q, v: layers.Attention()([q, v]), SEQUENCE, SEQUENCE),
            "scaled, concat": join(
                lambda q, v: layers.Attention(use_scale=True, score_mode="concat")([q, v]), SEQUENCE, SEQUENCE
            ),
            "causal": join(lambda q: layers.Attention()([q, q], use_causal_mask=True), SEQUENCE),
        },
        "AdditiveAttention": {"": join(lambda q, v: layers.AdditiveAttention()([q, v]), SEQUENCE, SEQUENCE)},
    }


class Within(layers.Layer):
    """Some augmentations give back the very tensor that they are given, of which Keras can build no model by itself."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def call(self, inputs):
        return self.layer(inputs, training=False)


class SelfAttention(layers.Layer):
    def __init__(self, attention):
        super().__init__()
        self.attention = attention

    def call(self, inputs):
        return self.attention(inputs, inputs)


def _recurrences():
    cases = {}
    for name in ("LSTM", "GRU", "SimpleRNN"):
        layer = getattr(layers, name)
        cases[name] = {
            "": chain(SEQUENCE, lambda c=layer: c(4)),
            "sequences": chain(SEQUENCE, lambda c=layer: c(4, return_sequences=True)),
            "masked": chain(SEQUENCE, layers.Masking, lambda c=layer: c(4)),
            "unrolled": chain(STATIC_SEQUENCE, lambda c=layer: c(4, unroll=True)),
        }
    cases["Bidirectional"] = {"": chain(SEQUENCE, lambda: layers.Bidirectional(layers.LSTM(4)))}
    cells = [layers.LSTMCell, layers.GRUCell]
    cases["RNN"] = {"stacked cells": chain(SEQUENCE, lambda: layers.RNN([cell(4) for cell in cells]))}
    cases["ConvLSTM1D"] = {"": chain((4, 6, 2), lambda: layers.ConvLSTM1D(3, 3))}
    cases["ConvLSTM2D"] = {"": chain((4, 6, 6, 2), lambda: layers.ConvLSTM2D(3, 3))}
    cases["ConvLSTM3D"] = {"": chain((3, 5, 5, 5, 2), lambda: layers.ConvLSTM3D(3, 3))}
    cases["TimeDistributed"] = {
        "dense": chain(SEQUENCE, lambda: layers.TimeDistributed(layers.Dense(4))),
        "convolution": chain((5, 8, 8, 3), lambda: layers.TimeDistributed(layers.Conv2D(4, 3))),
    }
    return cases


def _preprocessing():
    cases = {
        "CategoryEncoding": {
            mode: chain((4,), lambda m=mode: layers.CategoryEncoding(num_tokens=6, output_mode=m), dtype="int32")
            for mode in ("multi_hot", "count")
        },
        "Discretization": {
            mode: chain((4,), lambda m=mode: layers.Discretization(bin_boundaries=[-1.0, 0.0, 0.7], output_mode=m))
            for mode in ("int", "multi_hot")
        },
        "IntegerLookup": {"": chain((4,), lambda: layers.IntegerLookup(vocabulary=[4, 9, 2]), dtype="int64")},
        "CenterCrop": {"": chain(STATIC_IMAGE, lambda: layers.CenterCrop(6, 4))},
        "RandomCrop": {"": chain(STATIC_IMAGE, lambda: layers.RandomCrop(6, 4))},
        "MelSpectrogram": {"": chain((512,), lambda: layers.MelSpectrogram(fft_length=64, num_mel_bins=8))},
        "STFTSpectrogram": {
            mode: chain((512, 1), lambda m=mode: layers.STFTSpectrogram(mode=m, frame_length=32, frame_step=16))
            for mode in ("log", "magnitude", "psd", "real", "imag", "angle", "stft")
        },
        "Resizing": {
            f"{mode}{size}": chain(shape, lambda m=mode: layers.Resizing(7, 9, interpolation=m))
            for mode in ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5")
            for shape, size in ((STATIC_IMAGE, ""), (IMAGE, ", unknown size"))
        },
    }
    cases["Resizing"]["antialias"] = chain(STATIC_IMAGE, lambda: layers.Resizing(5, 4, antialias=True))
    cases["Resizing"]["crop"] = chain(STATIC_IMAGE, lambda: layers.Resizing(5, 4, crop_to_aspect_ratio=True))
    cases["Resizing"]["pad"] = chain(STATIC_IMAGE, lambda: layers.Resizing(5, 4, pad_to_aspect_ratio=True))
    for name in AUGMENTATIONS:
        make = lambda n=name: Within(getattr(layers, n)(**_ARGUMENTS.get(n, {})))  # noqa: E731
        cases[name] = {"": chain(STATIC_IMAGE, make)}
    return cases


def _others():
    dropouts = ("Dropout", "AlphaDropout", "GaussianDropout")
    cases = {name: {"": chain(SEQUENCE, partial(getattr(layers, name), 0.3))} for name in dropouts}
    cases |= {
        f"SpatialDropout{n}D": {"": chain(OF_RANK[n][0], lambda c=n: getattr(layers, f"SpatialDropout{c}D")(0.3))}
        for n in (1, 2, 3)
    }
    return cases | {
        "GaussianNoise": {"": chain(SEQUENCE, lambda: layers.GaussianNoise(0.3))},
        "Dense": {
            "": chain((6,), lambda: layers.Dense(4)),
            "sequence": chain(SEQUENCE, lambda: layers.Dense(4, activation="gelu")),
            "low rank": chain((6,), lambda: layers.Dense(4, lora_rank=2)),
        },
        "EinsumDense": {
            "": chain(SEQUENCE, lambda: layers.EinsumDense("abc,cde->abde", (None, 2, 4), bias_axes="de")),
            "two axes": chain((3, 4, 6), lambda: layers.EinsumDense("abcd,cde->abe", (3, 5))),
        },
        "Embedding": {
            "": chain((None,), lambda: layers.Embedding(9, 4), dtype="int32"),
            "masked": chain(
                (None,), lambda: layers.Embedding(9, 4, mask_zero=True), lambda: layers.Dense(2), dtype="int64"
            ),
        },
        "ReversibleEmbedding": {"": join(_reversed, (None,), dtype="int32")},
        "Flatten": {"": chain(STATIC_IMAGE, layers.Flatten)},
        "Reshape": {
            "": chain(STATIC_SEQUENCE, lambda: layers.Reshape((4, -1))),
            "unknown size": chain((None, 6), lambda: layers.Reshape((-1, 2, 3))),
        },
        "Permute": {"": chain(IMAGE, lambda: layers.Permute((3, 1, 2)))},
        "RepeatVector": {"": chain((6,), lambda: layers.RepeatVector(3))},
        "Masking": {"": chain(SEQUENCE, layers.Masking, lambda: layers.Dense(2))},
        "Lambda": {"": chain(SEQUENCE, lambda: layers.Lambda(lambda x: keras.ops.square(x) + 1))},
        "Pipeline": {
            "": chain(STATIC_IMAGE, lambda: layers.Pipeline([layers.Rescaling(0.5), layers.CenterCrop(4, 4)]))
        },
    }


def _reversed(tokens):
    embedding = layers.ReversibleEmbedding(9, 4)
    return embedding(embedding(tokens), reverse=True)


CASES = {
    **_convolutions(),
    **_poolings(),
    **_activations(),
    **_merges(),
    **_normalizations(),
    **_attentions(),
    **_recurrences(),
    **_preprocessing(),
    **_others(),
}
