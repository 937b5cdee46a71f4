"""What looks on while a trial is trained."""

import keras
import numpy as np
import pytest

from keras_nnx.tuning.searches.quiet import Quiet
from keras_nnx.tuning.searches.watch import Watch


@pytest.mark.parametrize(("stop", "epochs", "pruned"), [(2, 3, True), (3, 3, False), (1, 1, False), (9, 3, False)])
def test_what_has_ended_is_not_ended_early(tmp_path, stop, epochs, pruned):
    """The oracle is told of the last epoch, and cannot take back what it has cost."""
    told, stages = [], []

    def goes_on(epoch, value):
        told.append((epoch, value))
        return epoch < stop

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    x = np.ones((8, 2), "float32")
    watch = Watch(epochs, "loss", Quiet(tmp_path), stages.append, goes_on)
    history = model.fit(x, x[:, :1], epochs=epochs, callbacks=[watch], verbose=0).history
    assert watch.pruned == pruned
    assert told == [(number + 1, loss) for number, loss in enumerate(history["loss"])]
    assert len(told) == min(stop, epochs)
    assert stages[0] == f"training, epoch 1 of {epochs}"
