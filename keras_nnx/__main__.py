"""`python -m keras_nnx` is the command `keras-nnx`."""

import sys

from keras_nnx.cli import main

sys.exit(main())
