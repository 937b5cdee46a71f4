"""Operators that a target lacks or gets wrong, written as others; one module for each kind."""

from keras_nnx.export.lowering.decompositions import (
    bands,
    convolutions,
    cumulative,
    integers,
    lookups,
    mathematics,
    products,
    resizing,
    slicing,
)

__all__ = [
    "bands",
    "convolutions",
    "cumulative",
    "integers",
    "lookups",
    "mathematics",
    "products",
    "resizing",
    "slicing",
]
