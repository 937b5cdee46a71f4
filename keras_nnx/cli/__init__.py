"""The command `keras-nnx`: one file a subcommand."""

from keras_nnx.cli.main import main

__all__ = ["main"]
