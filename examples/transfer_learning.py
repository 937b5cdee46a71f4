"""Transfer learning: a network that knows the digits 0 to 4 learns 5 to 9 from a few labelled pictures of each.

It needs no network connection. Scikit-learn's 8 x 8 digits are drawn, enlarged, somewhere on coloured uneven ground.
A residual network learns 0 to 4 from thousands of such scenes. Its weights are carried over, the first layers frozen,
a new head trained, then the last layers, each with a smaller learning rate than the one behind it. The baseline is
the same network from random weights, on the same few pictures, for as many steps. Written to --out:

  export/        saved_model/, model.onnx, model.tflite, each checked in its own runtime; they take pixels of 0 to 255
  transfer.png   test scenes with the answers of both networks, and the accuracy of each repetition

With --source, a network of keras.applications takes the place of the one trained here, such as the ImageNet weights
of EfficientNetB0 that you have: its file, .keras, .weights.h5 or .h5, and --network with its name. Large networks take
long on a processor, and need larger pictures than these to show what they can do.

The last lines give the accuracy of both on all test digits of 5 to 9. Exit code 1: the transfer was not better.
"""

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # fewer of TensorFlow's start-up lines

import keras
import numpy as np
import onnxruntime
from matplotlib.figure import Figure
from PIL import Image

import keras_nnx as nnx

SOURCE, TARGET = (0, 1, 2, 3, 4), (5, 6, 7, 8, 9)
SIDE = 32  # of a scene, in pixels; no network of keras.applications takes less
COPIES = 4  # scenes of each digit in the source and in the test
BLUE, ORANGE = "#3f66d9", "#d9822b"

# Builder, its arguments, the first layer to fine-tune, and whether pixels have to be brought to -1..1 before.
NETWORKS = {
    "small": (nnx.models.ResNet, {"filters": (16, 32, 64), "blocks": (1, 1, 1)}, "stage_2_block_1", True),
    "EfficientNetB0": (nnx.models.EfficientNet, {"variant": "EfficientNetB0"}, "stage_5_block_1", False),
    "ConvNeXtTiny": (nnx.models.ConvNeXt, {"variant": "ConvNeXtTiny"}, "stage_4_block_1", False),
    "ResNet50V2": (nnx.models.ResNet, {"variant": "ResNet50V2"}, "stage_4_block_1", True),
}


def load_digits(split: str, values: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return the digits of a split that have one of the values, (n, 8, 8) in uint8, and the place of each value."""
    batches = nnx.data.load("digits", augment="none").raw(split).as_numpy_iterator()
    pictures, labels = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    wanted = np.isin(labels, values)
    return pictures[wanted, ..., 0].astype(np.uint8), np.searchsorted(values, labels[wanted])


def choose_few(labels: np.ndarray, shots: int, random: np.random.Generator) -> np.ndarray:
    """Return the places of `shots` examples of each class."""
    places = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    return np.concatenate([random.choice(found, shots, replace=False) for found in places])


def draw_scene(digit: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return a digit somewhere on uneven ground, light on dark or dark on light, (SIDE, SIDE, 3) in uint8."""
    cells = random.integers(2, 8)
    coarse = Image.fromarray(random.integers(0, 256, (cells, cells, 3), dtype=np.uint8))
    uneven = np.asarray(coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC)) / 255 - 0.5
    ground = random.uniform(100, 156, 3) + 80 * uneven + random.normal(0, 6, (SIDE, SIDE, 3))
    size = random.integers(14, 23)
    row, column = random.integers(SIDE - size + 1, size=2)
    ink = np.asarray(Image.fromarray(digit).resize((size, size), Image.Resampling.BILINEAR))[..., None] / 255
    colour = random.choice((-1, 1)) * random.uniform(60, 110) + random.uniform(-20, 20, 3)
    ground[row : row + size, column : column + size] += ink * colour
    return np.rint(ground.clip(0, 255)).astype(np.uint8)


def draw_scenes(digits: np.ndarray, copies: int, seed: int) -> np.ndarray:
    """Return `copies` scenes of each digit, one digit after another, (n * copies, SIDE, SIDE, 3) in uint8."""
    random = np.random.default_rng(seed)
    return np.stack([draw_scene(digit, random) for digit in digits for _ in range(copies)])


def build(network: str) -> keras.Model:
    """Return an untrained network of five classes."""
    builder, arguments, *_ = NETWORKS[network]
    return builder((SIDE, SIDE, 3), classes=len(TARGET), **arguments)


def prepare(network: str) -> keras.layers.Layer:
    """Return the layer from pixels to what the network takes."""
    return keras.layers.Rescaling(1 / 127.5, offset=-1.0) if NETWORKS[network][-1] else keras.layers.Identity()


def optimizer(rate: float, steps: int) -> keras.optimizers.Optimizer:
    """Return gradient descent with momentum whose rate falls to 0; TensorFlow traces it faster than Adam."""
    return keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(rate, steps), momentum=0.9, nesterov=True)


def fit(model: keras.Model, how: keras.optimizers.Optimizer, inputs: np.ndarray, labels: np.ndarray, steps: int) -> None:
    """Train for a number of steps, each on at most 32 examples in a new order."""
    places = np.concatenate([np.random.permutation(len(inputs)) for _ in range(-(-32 * steps // len(inputs)))])
    places = places[: min(32, len(inputs)) * steps]
    model.compile(how, "sparse_categorical_crossentropy", metrics=["accuracy"], jit_compile=False)
    size = len(places) // steps
    history = model.fit(inputs[places], labels[places], batch_size=size, shuffle=False, verbose=0).history
    print(f"  {steps} steps of {size}: accuracy in training {history['accuracy'][-1]:.1%}", flush=True)


def transfer(source: keras.Model | Path, options: argparse.Namespace, inputs: np.ndarray, labels: np.ndarray):
    """Return a network that has the weights of the source and was tuned on the few examples."""
    model = build(options.network)
    if options.source is None:
        for layer in source.layers:
            if layer.name != "logits":
                model.get_layer(layer.name).set_weights(layer.get_weights())
    else:
        print(f"  {nnx.models.load_pretrained(model, source, skip_head=True)}")
    nnx.models.freeze(model)
    fit(model, optimizer(0.1, options.steps), inputs, labels, options.steps)
    nnx.models.freeze(model, until=NETWORKS[options.network][2])
    layerwise = nnx.optimizers.LayerwiseDecay.from_model(optimizer(options.rate, options.steps), model, decay=0.7)
    fit(model, layerwise, inputs, labels, options.steps)
    return model
