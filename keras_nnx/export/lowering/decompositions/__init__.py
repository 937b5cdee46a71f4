"""Operators that a target lacks or gets wrong, written as others; one module for each kind."""

from keras_nnx.export.lowering.decompositions import integers, mathematics

__all__ = ["integers", "mathematics"]
