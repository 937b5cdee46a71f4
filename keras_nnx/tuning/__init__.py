"""Search spaces for keras-tuner: what the arguments of models and blocks may be, and how they are trained.

It needs keras-tuner: `pip install "keras-nnx[tune]"`.
"""

import importlib.util

if importlib.util.find_spec("keras_tuner") is None:
    raise ImportError('keras_nnx.tuning needs keras-tuner: run pip install "keras-nnx[tune]".')

from keras_nnx.tuning.ranges import Bool, Choice, Float, Int, Range, Repeat
from keras_nnx.tuning.recipe import Recipe, knobs
from keras_nnx.tuning.space import InfeasibleError, Space, space

__all__ = [
    "Bool",
    "Choice",
    "Float",
    "InfeasibleError",
    "Int",
    "Range",
    "Recipe",
    "Repeat",
    "Space",
    "knobs",
    "space",
]
