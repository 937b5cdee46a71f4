"""Ranges that many descriptions share."""

from __future__ import annotations

from keras_nnx.tuning.ranges import Bool, Choice, Float, Int

ACTIVATIONS = ("relu", "leaky_relu", "gelu", "silu")

FILTERS = Int(16, 64, step=16, default=32)
UNITS = Int(32, 128, step=32, default=64)
HIDDEN = Int(64, 256, step=64, default=128)
KERNEL = Int(3, 5, step=2)
KERNEL_OF_STEPS = Int(3, 7, step=2)
EXPANSION = Int(2, 4, default=4)
LATENT = Int(16, 128, step=16, default=64)

HEADS = Int(1, 4, step=2, sampling="log", default=4)
"""1, 2 or 4: each divides every width that is suggested, and leaves an even number to turn in rotary positions."""

DROPOUT = Float(0.0, 0.5, step=0.1, default=0.1)
STOCHASTIC_DEPTH = Float(0.0, 0.3, step=0.1)
CELL = Choice(["lstm", "gru"])
RESIDUAL = Bool(default=True)
EPSILON = Choice({"normalized": 1e-6, "bare": None})
"""Of the layer normalisation in front, or none."""

LAYER_SCALE = Choice([None, 1e-6, 0.1])
SQUEEZE = Choice([None, 0.25])
CONVOLUTION_ORDER = Choice(["post", "pre"])
ORDER = Choice(["pre", "post", "parallel"])
NORMALIZATION = Choice(["layer", "rms"])
IMAGE_POOLING = Choice(["avg", "max"])
STEP_POOLING = ("avg", "max", "last", "additive", "multiplicative")
GATES = {"gated": Bool()}


def activation(default: str) -> Choice:
    """Return a choice of activations that begins with a default."""
    return Choice(list(ACTIVATIONS), default=default)
