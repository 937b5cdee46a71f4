"""Lower precisions, made from the float32 file of a format and proven like it."""

SMALLEST = 1024
"""Weights of fewer numbers keep their precision: they would save nothing."""
