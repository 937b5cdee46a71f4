"""Lower precisions, made from the float32 file of a format and proven like it."""
