"""Weights of other people's models, carried over into the ones built here."""

from keras_nnx.models.pretrained.load import Carried, load_pretrained

__all__ = ["Carried", "load_pretrained"]
