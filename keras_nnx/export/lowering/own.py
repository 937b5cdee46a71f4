"""Lowerings of this package's layers: what serves the training only stays out of the files."""

from __future__ import annotations

from typing import Any

from keras_nnx.export.lowering.layers import register_lowering
from keras_nnx.layers import MultiHeadAttention


@register_lowering(MultiHeadAttention)
def attention(layer: MultiHeadAttention, *inputs: Any, **options: Any) -> Any:
    """Serve all queries at once: a loop over chunks is slower, and runtimes plan their memory."""
    chunk_size = layer.chunk_size
    layer.chunk_size = None
    try:
        return MultiHeadAttention.call(layer, *inputs, **options)
    finally:
        layer.chunk_size = chunk_size
