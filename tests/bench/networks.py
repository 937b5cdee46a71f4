"""Networks in two versions: of our blocks, and of the layers of Keras, with equal weights."""

import dataclasses
import functools
import random
from collections.abc import Callable

import keras
import numpy as np

import keras_nnx as nnx
from tests.bench import stock

SEED = 1
CLOSE = 1e-4


@dataclasses.dataclass(frozen=True)
class Network:
    """One network: how to write it, and how many examples make a step of training."""

    ours: Callable[[], keras.Model]
    stock: Callable[..., keras.Model]
    batch: int
    accelerator_batch: int


def _decoder():
    return nnx.models.TransformerDecoder(
        (256,), vocabulary_size=1000, dim=128, depth=4, num_heads=4, positions="sine-cosine", mask_zero=False
    )


def _recurrent(cell):
    return lambda: nnx.models.SequenceClassifier((100, 64), 10, units=(128, 128), cell=cell)


NETWORKS = {
    "ResNet-18 at 32 x 32": Network(
        lambda: nnx.models.ResNet((32, 32, 3), 10, "ResNet18", stem="small"), stock.resnet18, 16, 1024
    ),
    "ViT-Ti/4 at 32 x 32": Network(lambda: nnx.models.ViT((32, 32, 3), 10, "ViT-Ti/4"), stock.vit_tiny, 32, 1024),
    "decoder, 4 blocks of 128": Network(_decoder, stock.decoder, 16, 512),
    "LSTM, 2 blocks of 128": Network(
        _recurrent("lstm"), functools.partial(stock.recurrent, keras.layers.LSTM), 32, 1024
    ),
    "GRU, 2 blocks of 128": Network(_recurrent("gru"), functools.partial(stock.recurrent, keras.layers.GRU), 32, 1024),
}


def gelu_for_stock(x):
    """Gelu as Keras's export to ONNX can write it."""
    return 0.5 * x * (1.0 + keras.ops.erf(x * 0.5**0.5))


def pair(name, gelu="gelu"):
    """Return ours and stock, with equal weights that are random as those of a trained model."""
    random.seed(SEED)  # of Keras's initializers; keras.utils.set_random_seed would import TensorFlow on every backend
    ours, theirs = NETWORKS[name].ours(), NETWORKS[name].stock(gelu)
    unsettle(ours)
    assert len(ours.trainable_variables) == len(theirs.trainable_variables)
    assert _count(ours) == _count(theirs), f"{name}: {_count(ours)} weights, and {_count(theirs)} of stock"
    values = {_key(variable): variable for variable in ours.weights}
    for variable in theirs.weights:
        variable.assign(keras.ops.reshape(values.pop(_key(variable)), variable.shape))
    assert not values, f"{name}: stock has no {', '.join(values)}"
    return ours, theirs


def unsettle(model):
    """Move what is 0 or 1: it would be folded away, and is not so in a trained model."""
    generator = np.random.default_rng(SEED)
    for variable in model.trainable_variables:
        if len(variable.shape) == 1:
            variable.assign(variable + generator.normal(0, 0.02, variable.shape).astype("float32"))


def difference(ours, theirs, inputs):
    """Return how far apart the logits are, over the largest one."""
    first, second = (
        keras.ops.convert_to_numpy(keras.Model(model.input, model.get_layer("logits").output)(inputs, training=False))
        for model in (ours, theirs)
    )
    return float(np.abs(first - second).max() / np.abs(first).max())


def batch(model, size):
    """Return random examples with answers; no token is 0."""
    generator = np.random.default_rng(SEED)
    shape = (size, *model.input_shape[1:])
    if model.inputs[0].dtype == "int32":
        inputs = generator.integers(1, model.output_shape[-1], shape).astype("int32")
    else:
        inputs = generator.normal(size=shape).astype("float32")
    answers = generator.integers(0, model.output_shape[-1], (size, *model.output_shape[1:-1]))
    return inputs, answers.astype("int32")


def _count(model):
    return sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)


def _key(variable):
    return variable.path.replace("/", "_").replace("attention_attention_", "attention_")
