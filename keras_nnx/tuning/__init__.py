"""Search spaces for keras-tuner: what the arguments of models and blocks may be, and how they are trained.

It needs keras-tuner: `pip install "keras-nnx[tune]"`.
"""

try:
    import keras_tuner  # noqa: F401
except ImportError as error:
    raise ImportError('nnx.tuning needs keras-tuner: pip install "keras-nnx[tune]"') from error

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
