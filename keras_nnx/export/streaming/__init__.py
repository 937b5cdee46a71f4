"""Models that are fed in chunks: what their layers remember becomes inputs and outputs."""

from keras_nnx.export.streaming.engine import export_streaming

__all__ = ["export_streaming"]
