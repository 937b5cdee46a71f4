"""Search: what the arguments of models and blocks may be, how trials are judged, and the search itself.

It needs keras-tuner: `pip install "keras-nnx[tune]"`. Its parts are imported on first use.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any

if importlib.util.find_spec("keras_tuner") is None:
    raise ImportError('keras_nnx.tuning needs keras-tuner: run pip install "keras-nnx[tune]".')

if TYPE_CHECKING:
    from keras_nnx.tuning.architecture import architectures, convolutional_classifier
    from keras_nnx.tuning.described import suggested
    from keras_nnx.tuning.hypermodel import InfeasibleError, Space, space
    from keras_nnx.tuning.ranges import Bool, Choice, Float, Int, Range, Repeat
    from keras_nnx.tuning.recipe import Recipe, knobs
    from keras_nnx.tuning.searches.data import SearchData
    from keras_nnx.tuning.searches.measure import Measurement, MeasurementError, measure_artifact
    from keras_nnx.tuning.searches.result import SearchResult, TrialResult
    from keras_nnx.tuning.searches.run import load_search, search
    from keras_nnx.tuning.searches.supervisor import SearchError

__all__ = [
    "Bool",
    "Choice",
    "Float",
    "InfeasibleError",
    "Int",
    "Measurement",
    "MeasurementError",
    "Range",
    "Recipe",
    "Repeat",
    "SearchData",
    "SearchError",
    "SearchResult",
    "Space",
    "TrialResult",
    "architectures",
    "convolutional_classifier",
    "knobs",
    "load_search",
    "measure_artifact",
    "search",
    "space",
    "suggested",
]

_FILES = {
    "Bool": "ranges",
    "Choice": "ranges",
    "Float": "ranges",
    "InfeasibleError": "hypermodel",
    "Int": "ranges",
    "Measurement": "searches.measure",
    "MeasurementError": "searches.measure",
    "Range": "ranges",
    "Recipe": "recipe",
    "Repeat": "ranges",
    "SearchData": "searches.data",
    "SearchError": "searches.supervisor",
    "SearchResult": "searches.result",
    "Space": "hypermodel",
    "TrialResult": "searches.result",
    "architectures": "architecture",
    "convolutional_classifier": "architecture",
    "knobs": "recipe",
    "load_search": "searches.run",
    "measure_artifact": "searches.measure",
    "search": "searches.run",
    "space": "hypermodel",
    "suggested": "described",
}


def __getattr__(name: str) -> Any:
    if name in _FILES:
        return getattr(importlib.import_module(f"keras_nnx.tuning.{_FILES[name]}"), name)
    raise AttributeError(f"module 'keras_nnx.tuning' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
