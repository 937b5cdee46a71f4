"""Stage 5: every artifact is run in its own runtime against the model's own answers."""
