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
    from keras_nnx.tuning.hypermodel import InfeasibleError, Space, space
    from keras_nnx.tuning.ranges import Bool, Choice, Float, Int, Range, Repeat
    from keras_nnx.tuning.recipe import Recipe, knobs
    from keras_nnx.tuning.searches.data import SearchData
    from keras_nnx.tuning.searches.result import SearchResult, TrialResult
    from keras_nnx.tuning.searches.run import load_search, search

__all__ = [
    "Bool",
    "Choice",
    "Float",
    "InfeasibleError",
    "Int",
    "Range",
    "Recipe",
    "Repeat",
    "SearchData",
    "SearchResult",
    "Space",
    "TrialResult",
    "knobs",
    "load_search",
    "search",
    "space",
]

_FILES = {
    "Bool": "ranges",
    "Choice": "ranges",
    "Float": "ranges",
    "InfeasibleError": "hypermodel",
    "Int": "ranges",
    "Range": "ranges",
    "Recipe": "recipe",
    "Repeat": "ranges",
    "SearchData": "searches.data",
    "SearchResult": "searches.result",
    "Space": "hypermodel",
    "TrialResult": "searches.result",
    "knobs": "recipe",
    "load_search": "searches.run",
    "search": "searches.run",
    "space": "hypermodel",
}


def __getattr__(name: str) -> Any:
    if name in _FILES:
        return getattr(importlib.import_module(f"keras_nnx.tuning.{_FILES[name]}"), name)
    raise AttributeError(f"module 'keras_nnx.tuning' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
