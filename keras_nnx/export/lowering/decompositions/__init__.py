"""Operators that a target lacks or gets wrong, written as others; one module for each kind."""

from keras_nnx.export.lowering.decompositions import (
    bands,
    bits,
    convolutions,
    cumulative,
    geometry,
    integer_reductions,
    integers,
    lookups,
    mathematics,
    products,
    reductions,
    resizing,
    segments,
    sizes,
    slicing,
    trigonometry,
)

__all__ = [
    "bands",
    "bits",
    "convolutions",
    "cumulative",
    "geometry",
    "integer_reductions",
    "integers",
    "lookups",
    "mathematics",
    "products",
    "reductions",
    "resizing",
    "segments",
    "sizes",
    "slicing",
    "trigonometry",
]
